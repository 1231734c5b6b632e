/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Rows of messages, for the files of store/. */

#include "store/message.h"

/* E may still be in the map: the row is put together before anything is written. */
int entry_write(Store *s, const Entry *e);
/* The own entry will not be sent any more. */
int void_add(Store *s, uint32_t feed, uint64_t seq, Code reason);

/* The id of its message. 1, or 0 where there is no such entry. */
int entry_id(DbTxn *txn, uint32_t feed, uint64_t seq, Uuid *ret);
bool entry_has_hash(const Entry *e, const uint8_t hash[static SHA256_SIZE]);

/* The order everybody shows a conversation in: (hlc, account, epoch, device, seq). */
int order_write(Store *s, uint32_t conversation, const Inner *m, uint32_t feed);

typedef struct IdRow {
        uint32_t feed;
        uint64_t seq;
        uint8_t content[SHA256_SIZE];
        usec_t until;
} IdRow;

/* 1 with the row, or 0. */
int id_get(DbTxn *txn, uint32_t account, const Uuid *id, IdRow *ret);
int id_write(Store *s, uint32_t account, const Uuid *id, const IdRow *v);

/* The index by time of what is in the outbox. 1 when it was there. */
int expiry_add(Store *s, uint32_t recipient, OutboxPosition at, usec_t expires);
int expiry_remove(Store *s, uint32_t recipient, OutboxPosition at, usec_t expires);
int expiry_fill(Store *s);


int outbox_add(Store *s, uint32_t recipient, uint32_t feed, const Inner *m);
