// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Lets a PL011 receive what its emulation never sends: characters with framing
 * errors, parity errors and overruns, and more of them than the kernel keeps.
 *
 *   echo "WORD [COUNT]" > /sys/module/pl011_inject/parameters/receive
 *
 * WORD is what the hardware's data register would hold (see UART011_DR_* in
 * linux/amba/serial.h): 0x1ff is the character ff with a framing error, 0x241
 * an A with a parity error, 0x400 a break, 0x841 an A after an overrun. It goes
 * the way of words from the register in drivers/tty/serial/amba-pl011.c: the
 * error is counted, then the masks that the program's termios settings led to
 * decide what of it stays, then the serial core puts it into the tty's buffer.
 */
#include <linux/amba/serial.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/serial_core.h>
#include <linux/spinlock.h>
#include <linux/tty.h>
#include <linux/tty_flip.h>

static char *port = "/dev/ttyAMA0";
module_param(port, charp, 0444);
MODULE_PARM_DESC(port, "device file of the PL011");

static void count_errors(struct uart_icount *icount, unsigned int word)
{
	/* One of the three at most: each of them includes those after it. */
	if (word & UART011_DR_BE)
		icount->brk++;
	else if (word & UART011_DR_PE)
		icount->parity++;
	else if (word & UART011_DR_FE)
		icount->frame++;
	if (word & UART011_DR_OE)
		icount->overrun++;
}

static unsigned int flag_of(unsigned int word)
{
	if (word & UART011_DR_BE)
		return TTY_BREAK;
	if (word & UART011_DR_PE)
		return TTY_PARITY;
	if (word & UART011_DR_FE)
		return TTY_FRAME;
	return TTY_NORMAL;
}

static void receive(struct uart_port *uart, unsigned int word)
{
	uart->icount.rx++;
	count_errors(&uart->icount, word);
	word &= uart->read_status_mask;
	uart_insert_char(uart, word, UART011_DR_OE, word & 0xff, flag_of(word));
}

static int receive_set(const char *value, const struct kernel_param *param)
{
	unsigned int word, count = 1;
	struct uart_state *state;
	struct uart_port *uart;
	unsigned long flags;
	struct file *file;

	if (sscanf(value, "%i %u", &word, &count) < 1)
		return -EINVAL;
	/* O_NONBLOCK: does not wait for a carrier. An exclusive port opens for root. */
	file = filp_open(port, O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	state = ((struct tty_file_private *)file->private_data)->tty->driver_data;
	uart = state->uart_port;
	spin_lock_irqsave(&uart->lock, flags);
	while (count--)
		receive(uart, word);
	spin_unlock_irqrestore(&uart->lock, flags);
	tty_flip_buffer_push(&state->port);
	filp_close(file, NULL);
	return 0;
}

static const struct kernel_param_ops receive_ops = { .set = receive_set };
module_param_cb(receive, &receive_ops, NULL, 0200);
MODULE_PARM_DESC(receive, "word of the data register that the PL011 receives, and how often");

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Line errors of a PL011, on demand");
