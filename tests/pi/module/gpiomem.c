// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * /dev/gpiomem, which Raspberry Pi OS's kernel has and Debian's has not: the
 * registers of the GPIO, and nothing else, for programs that map them without
 * being root, as RPi.GPIO does.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>

static phys_addr_t registers;

static int gpiomem_mmap(struct file *file, struct vm_area_struct *area)
{
	area->vm_page_prot = pgprot_device(area->vm_page_prot);
	/* Refuses what reaches beyond the one page. */
	return vm_iomap_memory(area, registers, PAGE_SIZE);
}

static const struct file_operations gpiomem_operations = {
	.owner = THIS_MODULE,
	.mmap = gpiomem_mmap,
};

static struct miscdevice gpiomem = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "gpiomem",
	.fops = &gpiomem_operations,
};

static int __init gpiomem_init(void)
{
	struct device_node *node;
	struct resource resource;
	int error;

	node = of_find_compatible_node(NULL, NULL, "brcm,bcm2835-gpio");
	if (!node)
		return -ENODEV;
	error = of_address_to_resource(node, 0, &resource);
	of_node_put(node);
	if (error)
		return error;
	registers = resource.start;
	return misc_register(&gpiomem);
}
module_init(gpiomem_init);

static void __exit gpiomem_exit(void)
{
	misc_deregister(&gpiomem);
}
module_exit(gpiomem_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("The registers of the GPIO for programs");
