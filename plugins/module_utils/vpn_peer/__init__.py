# SPDX-License-Identifier: GPL-3.0-or-later
"""The on-premises end of a VPN connection: what its configuration file says, and what strongSwan calls its suite."""
