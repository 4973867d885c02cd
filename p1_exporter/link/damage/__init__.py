"""What happened to a rejected telegram: the text as it must have been sent, beside what arrived."""
