/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book.c: see book.h. Its invariants stand in book_check.c.
 */
#include "book_path.h"
#include "book_rare.h"
#include "hash.h"
#include "memory.h"

static size_t expiry_bytes(const struct ib_book *book)
{
    IB_ASSERT(book->orders.capacity > 0);
    return ((size_t)book->orders.capacity + 1) * sizeof *book->expiry;
}

static size_t instrument_bytes(void)
{
    return IB_INSTRUMENTS_MAX * sizeof(struct ib_book_instrument);
}

static size_t window_bytes(void)
{
    return 2 * (IB_WINDOW_INSTRUMENTS - 1) * sizeof(struct ib_price_window);
}

static size_t rare_bytes(void)
{
    return IB_INSTRUMENTS_MAX * sizeof(struct ib_book_rare);
}

int ib_book_open(struct ib_book *book, uint32_t orders)
{
    IB_ASSERT(book != NULL);
    *book = (struct ib_book){0};
    if (orders == 0 || orders > IB_ORDERS_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    const uint32_t window_names = 2 * (IB_WINDOW_INSTRUMENTS - 1) * IB_WINDOW_STEP * (uint32_t)IB_WINDOW_KEYS;
    /* One slot more: who looks ahead reads a level as if it were one of the price index. */
    const uint32_t window_slots = ib_index_of(window_names) + 1;
    int status = ib_pool_open_both(&book->orders, &book->levels, sizeof(struct ib_order), orders, window_slots);
    book->window_level = ib_name_of(book->levels.first + orders);
    if (status == IB_OK) {
        status = ib_pool_open(&book->cold, sizeof(struct ib_order_cold), orders);
    }
    if (status == IB_OK) {
        status = ib_price_nodes_open(&book->nodes, orders);
    }
    if (status == IB_OK) {
        status = ib_buckets_open(&book->order_buckets, orders);
    }
    if (status == IB_OK) {
        book->instruments = ib_memory_reserve(instrument_bytes());
        book->rare = ib_memory_reserve(rare_bytes());
        book->windows = ib_memory_reserve(window_bytes());
        book->expiry = ib_memory_reserve(expiry_bytes(book));
        status = ib_pool_open(&book->extras, sizeof(struct ib_order_extra), orders);
        if (book->instruments == NULL || book->rare == NULL || book->windows == NULL || book->expiry == NULL) {
            status = IB_ERROR_MEMORY;
        }
    }
    if (status != IB_OK) {
        ib_book_close(book);
    }
    return status;
}

void ib_book_close(struct ib_book *book)
{
    IB_ASSERT(book != NULL);
    ib_memory_release(book->instruments, instrument_bytes());
    ib_memory_release(book->rare, rare_bytes());
    ib_memory_release(book->windows, window_bytes());
    if (book->expiry != NULL) {
        ib_memory_release(book->expiry, expiry_bytes(book));
    }
    ib_pool_close(&book->extras);
    ib_pool_close(&book->cold);
    ib_buckets_close(&book->order_buckets);
    ib_pool_close(&book->nodes);
    ib_pool_close(&book->levels);
    ib_pool_close(&book->orders);
    *book = (struct ib_book){0};
}

void ib_book_add_instrument(struct ib_book *book, uint64_t tick)
{
    IB_ASSERT(book->instruments != NULL);
    IB_ASSERT(book->instruments[book->instrument_count].tick == 0);
    IB_ASSERT(book->instrument_count < IB_INSTRUMENTS_MAX);
    uint32_t index = book->instrument_count++;
    ib_book_share_windows(book);
    for (unsigned side = 0; side < 2; side++) {
        ib_price_index_clear(&book->instruments[index].sides[side]);
        for (unsigned place = 0; place < 3; place++) {
            ib_price_index_clear(&book->rare[index].sides[place][side]);
        }
    }
    ib_book_set_tick(book, index, tick);
}

void ib_book_set_tick(struct ib_book *book, uint32_t index, uint64_t tick)
{
    IB_ASSERT(tick >= 1 && tick <= INT64_MAX);
    IB_ASSERT(ib_book_is_empty(book, index));
    struct ib_book_instrument *instrument = &book->instruments[index];
    instrument->tick = tick;
    instrument->ticks_max = INT64_MAX / tick;
    instrument->tick_shift = (uint32_t)__builtin_ctzll(tick);
    uint64_t odd = tick >> instrument->tick_shift;
    uint64_t inverse = odd; /* right in its lowest 3 bits; each Newton step doubles the bits that are right */
    for (int step = 0; step < 5; step++) {
        inverse *= 2 - odd * inverse;
    }
    IB_ASSERT(odd * inverse == 1);
    instrument->tick_inverse = inverse;
}

int ib_book_is_empty(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index < book->instrument_count);
    IB_ASSERT(book->rare != NULL);
    uint32_t live = book->instruments[index].sides[0].best | book->instruments[index].sides[1].best;
    for (unsigned place = 0; place < 3; place++) {
        live |= book->rare[index].sides[place][0].best | book->rare[index].sides[place][1].best;
    }
    return live == IB_NONE;
}

/* ---- hash ---- */

/* What the cold half of an order contributes, and its extra. */
static uint64_t cold_hash(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_order_cold *cold = ib_book_cold(book, index);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    IB_ASSERT(extra == NULL || extra->order == index);
    uint64_t data[3];
    memcpy(data, cold->client_data, sizeof data);
    uint64_t hash = ib_mix(ib_order_ref(ib_book_order(book, index)), ib_cold_executed(cold));
    uint64_t sum = ib_mix(hash + data[0], data[1]) ^ ib_mix(hash + IB_HASH_C, data[2]);
    if (extra != NULL) {
        sum += ib_mix(hash + extra->displayed, extra->shown);
        uint64_t attributes = (uint64_t)extra->self_trade << 56 | (uint64_t)extra->is_hidden << 60;
        sum ^= ib_mix(hash + (uint64_t)extra->price, extra->expire_time_ns ^ attributes);
    }
    return sum;
}

uint64_t ib_book_order_hash(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    uint64_t hash = ib_order_weight(order->identity, order->user_ref, ib_book_where(level)) *
                    ib_order_remaining(order);
    return ib_order_has_cold(order) ? hash + cold_hash(book, index) : hash;
}

/* ---- orders ---- */

/* An order gets its cold half: blank, and in no hash yet. */
static struct ib_order_cold *add_cold(struct ib_book *book, uint32_t index)
{
    struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(!ib_order_has_cold(order));
    IB_ASSERT(!ib_pool_is_full(&book->cold));
    uint32_t added = ib_pool_take(&book->cold, sizeof(struct ib_order_cold));
    struct ib_order_cold *cold = (struct ib_order_cold *)(void *)book->cold.slots + added;
    *cold = (struct ib_order_cold){.chain = ib_order_chain(order), .order = index};
    ib_order_set_chain(order, added);
    order->identity |= IB_ORDER_COLD;
    return cold;
}

void ib_book_write_cold(struct ib_book *book, uint32_t index, uint64_t executed, const uint8_t *client_data)
{
    IB_ASSERT(client_data != NULL);
    IB_ASSERT(executed <= IB_QUANTITY_MAX);
    struct ib_order_cold *cold = add_cold(book, index);
    cold->history = ib_cold_history(executed, IB_NONE);
    memcpy(cold->client_data, client_data, sizeof cold->client_data);
    book->hash += cold_hash(book, index);
}

/* The cold half leaves the hash, and an extra its heap and its pool. The order has no cold half any more. */
void ib_book_drop_cold(struct ib_book *book, uint32_t index)
{
    struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(ib_order_has_cold(order));
    book->hash -= cold_hash(book, index);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    const struct ib_order_cold *cold = ib_book_cold(book, index);
    uint32_t extra_index = ib_cold_extra(cold);
    uint32_t chain = cold->chain;
    ib_pool_give(&book->cold, ib_order_chain(order), sizeof *cold);
    ib_order_set_chain(order, chain);
    order->identity &= ~(uint64_t)IB_ORDER_COLD;
    if (extra == NULL) {
        return;
    }
    const struct ib_level level = ib_book_level(book, order->level);
    if (extra->expiry_place != 0) {
        ib_book_expiry_remove(book, extra_index);
    }
    if (extra->displayed > 0) {
        uint32_t instrument = ib_level_instrument(level);
        IB_ASSERT(book->rare[instrument].icebergs > 0);
        book->iceberg_count--;
        if (--book->rare[instrument].icebergs == 0) {
            book->instruments[instrument].special &= ~(uint32_t)IB_SPECIAL_ICEBERGS;
        }
    }
    book->parked_count -= ib_level_is_parked(level) ? 1u : 0u;
    ib_pool_give(&book->extras, extra_index, sizeof(struct ib_order_extra));
}

/* An order, which is indexed and has no extra yet, gets one. */
static void add_extra(struct ib_book *book, uint32_t index, const struct ib_order_extra *extra)
{
    static const uint8_t blank[IB_CLIENT_DATA_SIZE];
    struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    if (!ib_order_has_cold(order)) {
        ib_book_write_cold(book, index, 0, blank);
    }
    IB_ASSERT(ib_cold_extra(ib_book_cold(book, index)) == IB_NONE);
    IB_ASSERT(extra->shown <= ib_order_remaining(order));
    book->hash -= cold_hash(book, index);
    uint32_t added = ib_pool_take(&book->extras, sizeof *extra);
    ib_book_cold(book, index)->history |= added;
    struct ib_order_extra *own = (struct ib_order_extra *)(void *)book->extras.slots + added;
    *own = *extra;
    own->order = index;
    own->expiry_place = 0;
    book->hash += cold_hash(book, index);
    if (extra->expire_time_ns != 0) {
        ib_book_expiry_add(book, added);
    }
    if (extra->displayed > 0) {
        book->iceberg_count++;
        book->rare[ib_level_instrument(level)].icebergs++;
        book->instruments[ib_level_instrument(level)].special |= IB_SPECIAL_ICEBERGS;
    }
    book->parked_count += ib_level_is_parked(level) ? 1u : 0u;
}

uint32_t ib_book_put(struct ib_book *book, const struct ib_book_entry *entry, const struct ib_order_extra *extra)
{
    int has_room = ib_book_has_room(book);
    IB_ASSERT(has_room);
    IB_ASSERT(extra != NULL || entry->side_index >> IB_PLACE_SHIFT < IB_PLACE_STOP); /* what is parked has one */
    uint32_t index = ib_book_rest(book, ib_book_any_side(book, entry->side_index), entry);
    if (entry->side_index >= IB_SIDES_MAX) {
        ib_book_look_for_rare_sides(book, ib_side_instrument(entry->side_index));
    }
    if (extra != NULL) {
        add_extra(book, index, extra);
    }
    return index;
}

void ib_book_remove(struct ib_book *book, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(index != IB_NONE);
    ib_book_remove_from(book, ib_book_order_bucket(book, ib_order_session(order), order->user_ref), index,
                        ib_book_level(book, order->level));
}

void ib_book_fill_part(struct ib_book *book, uint32_t index, uint64_t quantity)
{
    IB_ASSERT(index != IB_NONE);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t remaining = ib_order_remaining(order);
    IB_ASSERT(quantity > 0 && quantity < remaining);
    const struct ib_level level = ib_book_level(book, order->level);
    uint64_t weight = ib_order_weight(order->identity, order->user_ref, ib_book_where(level));
    struct ib_order_cold *cold = ib_order_has_cold(order) ? ib_book_cold(book, index) : NULL;
    book->hash -= weight * quantity + (cold != NULL ? cold_hash(book, index) : 0);
    cold = cold != NULL ? cold : add_cold(book, index);
    cold->history += quantity << IB_ORDER_CHAIN_BITS;
    struct ib_order_extra *extra = ib_book_extra(book, index);
    if (extra != NULL) {
        extra->shown = extra->shown > quantity ? extra->shown - quantity : 0;
    }
    ib_order_set_remaining(order, remaining - quantity);
    ib_book_queue(book, order->level)->quantity -= quantity;
    book->hash += cold_hash(book, index);
}

void ib_book_shrink(struct ib_book *book, uint32_t index, uint64_t remaining)
{
    IB_ASSERT(index != IB_NONE);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t before = ib_order_remaining(order);
    IB_ASSERT(remaining > 0 && remaining <= before);
    book->hash -= ib_book_order_hash(book, index);
    struct ib_order_extra *extra = ib_book_extra(book, index);
    if (extra != NULL && extra->shown > remaining) {
        extra->shown = remaining;
    }
    ib_order_set_remaining(order, remaining);
    ib_book_queue(book, order->level)->quantity -= before - remaining;
    book->hash += ib_book_order_hash(book, index);
}

void ib_book_rename(struct ib_book *book, uint32_t index, uint32_t user_ref, uint8_t time_in_force,
                    const uint8_t *client_data, const struct ib_order_extra *extra)
{
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(client_data != NULL);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t executed = ib_book_executed(book, index);
    if (ib_order_has_cold(order)) {
        ib_book_drop_cold(book, index);
    }
    book->hash -= ib_book_order_hash(book, index);
    ib_book_unindex_order(book, ib_book_order_bucket(book, ib_order_session(order), order->user_ref), index);
    order->user_ref = user_ref;
    uint16_t session = ib_order_session(order);
    order->identity = ib_order_identity(ib_order_ref(order), session, time_in_force, ib_order_type(order));
    uint32_t *bucket = ib_book_order_bucket(book, session, user_ref);
    IB_ASSERT(!ib_order_has_cold(order));
    ib_order_set_chain(order, ib_book_open_bucket(book, bucket));
    *bucket = index;
    book->hash += ib_book_order_hash(book, index);
    if (executed != 0 || !ib_book_is_blank(client_data)) {
        ib_book_write_cold(book, index, executed, client_data);
    }
    if (extra != NULL) {
        add_extra(book, index, extra);
    }
}

void ib_book_relabel(struct ib_book *book, uint32_t index, const uint8_t client_data[IB_CLIENT_DATA_SIZE])
{
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(!ib_book_is_blank(client_data));
    if (!ib_order_has_cold(ib_book_order(book, index))) {
        ib_book_write_cold(book, index, 0, client_data);
        return;
    }
    book->hash -= cold_hash(book, index);
    memcpy(ib_book_cold(book, index)->client_data, client_data, IB_CLIENT_DATA_SIZE);
    book->hash += cold_hash(book, index);
}

void ib_book_show(struct ib_book *book, uint32_t index, uint64_t shown)
{
    struct ib_order_extra *extra = ib_book_extra(book, index);
    IB_ASSERT(extra != NULL && extra->displayed > 0);
    IB_ASSERT(shown <= ib_order_remaining(ib_book_order(book, index)));
    book->hash -= cold_hash(book, index);
    extra->shown = shown;
    book->hash += cold_hash(book, index);
}

void ib_book_requeue(struct ib_book *book, uint32_t index, uint64_t order_ref)
{
    struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(order_ref > ib_order_ref(order));
    book->hash -= ib_book_order_hash(book, index);
    (void)ib_ring_unlink(book->orders.slots, &order->links);
    order->identity = order_ref << IB_ORDER_REF_SHIFT |
                      (order->identity & (((uint64_t)1 << IB_ORDER_REF_SHIFT) - 1)); /* all else as it was */
    ib_ring_append(book->orders.slots, order->level, &order->links, ib_name_of(index));
    book->hash += ib_book_order_hash(book, index);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    if (extra != NULL && extra->expiry_place != 0) {
        ib_book_expiry_renumber(book, ib_cold_extra(ib_book_cold(book, index)));
    }
}
