// SPDX-License-Identifier: GPL-3.0-or-later
// Stands in for Amazon's driver where the role that builds it is tested: a module of its name, with a version and a
// parameter as it has them, and nothing else.
#include <linux/module.h>

static int phc_enable;
module_param(phc_enable, int, 0444);
MODULE_PARM_DESC(phc_enable, "Enable the adapter's clock");

static int __init ena_init(void)
{
	return 0;
}

static void __exit ena_exit(void)
{
}

module_init(ena_init);
module_exit(ena_exit);
MODULE_DESCRIPTION("Stand-in for a network driver");
MODULE_VERSION("2.17.0g");
MODULE_LICENSE("GPL");
