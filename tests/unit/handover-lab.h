/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Bob's account on two devices: the old one is lab.bob, the new one has nothing yet. */

#include "store-lab.h"

#include "store/handover.h"

#define BOB_NEW 9 /* key of the new device */

typedef struct HandLab {
        Lab lab;
        Person new;
        uint64_t items, changed, refused;
} HandLab;

static inline void certificate_for(Person *p, uint8_t n, uint8_t device_n, uint64_t epoch) {
        SignKey account = sample_key(n), device = sample_key(device_n);
        Certificate c = sample_certificate(n);

        c.epoch = epoch;
        c.issued = NOW + 30 * MINUTE;
        memcpy(c.device, sign_key_public(&device), KEY_SIZE);
        p->self.device = device;
        p->self.epoch = epoch;
        buffer_clear(&p->self.certificate);
        CHECK_OK(certificate_encode(&c, &account, &device, &p->self.certificate));
}

static inline void hand_lab_new(HandLab *h) {
        *h = (HandLab){};
        lab_new(&h->lab);
        person_new(&h->lab, &h->new, BOB, "bob-new");
        certificate_for(&h->new, BOB, BOB_NEW, 2);
}

static inline void hand_lab_free(HandLab *h) {
        person_free(&h->new);
        lab_free(&h->lab);
}

/* What of the items of one piece was new; those that were refused are counted. */
static inline void merge_piece(HandLab *h, Person *to, Bytes piece) {
        HandoverMerge *m;
        uint64_t kind;
        Bytes item;
        int r;

        CHECK_OK(handover_merge_begin(to->store, &to->self, NOW + 60 * MINUTE, &m));
        while ((r = handover_item_next(&piece, &item, &kind)) > 0) {
                r = handover_merge_item(m, item);
                CHECK(r >= 0 || r == -EBADMSG);
                h->items++;
                h->changed += r > 0;
                h->refused += r < 0;
        }
        CHECK_EQ(r, 0);
        CHECK_OK(handover_merge_end(m));
}

/* One part, in pieces of MAX bytes, of which COUNT are read from *POSITION on. True: there is
 * more. */
static inline bool hand_over_some(HandLab *h, Person *from, Person *to, HandoverPart part,
        Buffer *position, size_t max, unsigned count) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, next = BUFFER_NULL;
        int more = 1;

        for (; count > 0 && more > 0; count--) {
                uint64_t n;

                buffer_clear(&items);
                more = handover_read(txn_of(from), &from->self, part, buffer_bytes(position), max,
                        &items, &n, &next);
                CHECK(more >= 0);
                CHECK(n <= 1 || buffer_size(&items) <= max);
                CHECK(buffer_size(&next) <= HANDOVER_STORE_POSITION_MAX);
                buffer_clear(position);
                CHECK_OK(buffer_append(position, buffer_data(&next), buffer_size(&next)));
                merge_piece(h, to, buffer_bytes(&items));
                CHECK_OK(store_commit(to->store));
        }
        return more;
}

static inline void hand_over(HandLab *h, Person *from, Person *to, size_t max) {
        for (HandoverPart part = HANDOVER_BEFORE_ROOMS; part <= HANDOVER_AFTER_ROOMS; part++) {
                _cleanup_(buffer_done) Buffer position = BUFFER_NULL;

                h->items = h->changed = 0;
                while (hand_over_some(h, from, to, part, &position, max, 1))
                        ;
        }
}
