# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment has in AWS, whoever made it, and whose each thing is.

`items` says what a listing is and sorts what was found, purely; `network`, `hosts` and `stores` list what modules of
amazon.aws make, `own` what our reconcile engine makes; `read` asks AWS for all of them side by side.
"""
