-- SPDX-License-Identifier: GPL-3.0-or-later
-- The two tables of the platform's first design, type for type. They are kept as they were asked for; what the ledger needs
-- beyond them (wider types, the unique key of an execution) is the next migration's, so that the history shows the change.

CREATE TABLE trades (
    id SERIAL PRIMARY KEY,
    symbol VARCHAR(10),
    quantity INTEGER,
    price DECIMAL(10,2),
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE portfolios (
    id SERIAL PRIMARY KEY,
    client_id VARCHAR(50),
    symbol VARCHAR(10),
    position INTEGER,
    avg_cost DECIMAL(10,2)
);
