#!/usr/bin/python
# Copyright: The Ironbook maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: session_replay
short_description: Replay a trading session over TCP, as two firms would trade it
version_added: 0.1.0
description:
  - Logs two firms in to an engine's order entry (SoupBinTCP, OUCH 5.0) and sends the messages of a LOBSTER file. One
    firm enters, shrinks and deletes orders; the other sends an immediate-or-cancel order for each execution.
  - Each order is sent at most once, however often the task runs. A run that was cut off goes on where the venue is;
    a session that was replayed to its end is known by the SHA-256 of its content and never sent again.
  - The action plugin of the same name does the work, on the controller, and shows how far it is every few seconds.
options:
  market_data:
    description:
      - A LOBSTER message file, or the directory that holds one. Empty for a generated session.
    type: str
    default: ""
  generate:
    description:
      - The session that is generated where O(market_data) is empty. The same values give the same session.
      - Required unless O(plan=true), like where and as whom to log in.
    type: dict
    suboptions:
      messages:
        description: How many messages it has.
        type: int
        default: 20000
      seed:
        description: Any number; another one gives another session.
        type: int
        default: 1
      symbol:
        description: The instrument.
        type: str
        required: true
  endpoints:
    description:
      - Where the members of the shard listen for orders, each as C(host:port). Whichever is primary is found, and
        found again after a failover; the command gives up where none of them serves for half a minute.
    type: list
    elements: str
  maker:
    description: User name of the firm that makes the market.
    type: str
  taker:
    description: User name of the firm that takes.
    type: str
  secrets_directory:
    description: Directory with the passwords, in files called C(session_USERNAME).
    type: path
  directory:
    description: Where the controller keeps what is known of each replay.
    type: path
    required: true
  speed:
    description: How many times as fast as the market was, or V(0) for as fast as it goes.
    type: float
    default: 0.0
  plan:
    description:
      - Only read O(market_data), and fail if it cannot be replayed, by file, line and field. Changes nothing.
      - A file that was replayed to its end before is known by its hash and not read line by line again.
    type: bool
    default: false
attributes:
  check_mode:
    description: It reads the file, says how many messages it would send, and connects to nothing.
    support: full
author:
  - The Ironbook maintainers (@ironbook)
"""

EXAMPLES = r"""
- name: Replay an hour of AAPL
  ironbook.trading.session_replay:
    market_data: /data/AAPL_2012-06-21_34200000_37800000_message_50.csv.gz
    endpoints:
      - 127.0.0.1:21100
    maker: MAKER1
    taker: TAKER1
    secrets_directory: /var/lib/ironbook/secrets
    directory: /var/lib/ironbook/trade
"""

RETURN = r"""
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
sent:
  description: Messages that this run has sent.
  returned: always
  type: int
fills:
  description: Matches of the whole session.
  returned: when the session was replayed
  type: int
quantity:
  description: Quantity traded in the whole session.
  returned: when the session was replayed
  type: int
notional:
  description: Sum of price times quantity, in units of 1/10,000.
  returned: when the session was replayed
  type: int
symbol:
  description: The instrument of the market data.
  returned: when the file was read
  type: str
not_sent:
  description: How many messages of the file were not sent, by reason.
  returned: when the file was read
  type: dict
summary:
  description: The result in one line.
  returned: always
  type: str
"""
