# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconcile engine: what an inventory wants of AWS is compared with what is there, and made so.

`kind` is what a declaration is made of, `kinds/` holds one file for each kind of resource, `plan` decides and knows
nothing but its arguments, `calls` asks AWS, `engine` reads, applies and waits. `documentation` is what the two modules
say of themselves, made from the declarations.
"""
