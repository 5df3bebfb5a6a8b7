#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A fresh emulator, a fresh PostgreSQL and their supervisor, in the scenario's own state directory. Molecule hands no
# environment to this step, and the default would be the site of `make site`.
set -eu
IRONBOOK_STATE="$(cd "$(dirname "$0")/../.." && pwd)/.test/molecule"
IRONBOOK_PORT_BASE="${IRONBOOK_TEST_PORTS:-22200}"
export IRONBOOK_STATE IRONBOOK_PORT_BASE
ironbook local down --remove
exec ironbook local up
