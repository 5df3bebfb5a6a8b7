-- SPDX-License-Identifier: GPL-3.0-or-later
-- What the ledger needs to write each trade exactly once, and to hold figures that 0001 cannot: identifiers and
-- quantities of 64 bits, prices with eight decimals, times with their zone.
--
-- A trade is identified by where the engine's event log has it: (shard, sequence, index). The ledger writes trades,
-- portfolios and its checkpoint in one transaction; the unique constraint makes a second writing of the same trade
-- an error rather than money.

ALTER TABLE trades
    ALTER COLUMN id TYPE bigint,
    ALTER COLUMN quantity TYPE bigint,
    ALTER COLUMN price TYPE numeric(20, 8),
    ALTER COLUMN "timestamp" TYPE timestamptz USING "timestamp" AT TIME ZONE 'UTC',
    ADD COLUMN shard integer,
    ADD COLUMN sequence bigint,
    ADD COLUMN index integer,
    ADD COLUMN match_ref bigint,
    ADD COLUMN maker_client_id varchar(50),
    ADD COLUMN taker_client_id varchar(50),
    ADD COLUMN maker_user_ref bigint,
    ADD COLUMN taker_user_ref bigint,
    ADD COLUMN taker_side char(1);

ALTER SEQUENCE trades_id_seq AS bigint;

ALTER TABLE trades
    ADD CONSTRAINT trades_shard_sequence_index_key UNIQUE (shard, sequence, index);

-- NOT VALID: rows from before this migration have no sequence and stay as they are; every row from here on is whole.
ALTER TABLE trades
    ADD CONSTRAINT trades_complete CHECK (
        symbol IS NOT NULL
        AND quantity > 0
        AND price IS NOT NULL
        AND "timestamp" IS NOT NULL
        AND shard IS NOT NULL
        AND sequence IS NOT NULL
        AND index IS NOT NULL
        AND match_ref IS NOT NULL
        AND maker_client_id IS NOT NULL
        AND taker_client_id IS NOT NULL
        AND maker_user_ref IS NOT NULL
        AND taker_user_ref IS NOT NULL
        AND taker_side IN ('B', 'S')
    ) NOT VALID;

ALTER TABLE portfolios
    ALTER COLUMN id TYPE bigint,
    ALTER COLUMN position TYPE bigint,
    ALTER COLUMN avg_cost TYPE numeric(20, 8),
    ADD CONSTRAINT portfolios_client_id_symbol_key UNIQUE (client_id, symbol);

ALTER SEQUENCE portfolios_id_seq AS bigint;

-- How far each consumer has come in each shard's event log: the last event whose effect is in the tables above.
CREATE TABLE ledger_checkpoint (
    consumer text NOT NULL,
    shard integer NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, shard)
);
