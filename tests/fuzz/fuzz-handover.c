/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Items of a hand-over, as another device of the account sends them: one form each, and nothing in
 * them that a row could not have. */

#include "fuzz.h"

#include "store/handover-item.h"
#include "same.h"

static void check_ranges(const Ranges *r) {
        MUST(r->n <= RECEIPT_RANGES_MAX && (r->n > 0 || r->dropped == 0));
        for (size_t i = 0; i < r->n; i++) {
                MUST(r->range[i].first > r->dropped && r->range[i].first <= r->range[i].last);
                MUST(r->range[i].last <= SEQ_MAX);
                MUST(i == 0 || r->range[i - 1].last < r->range[i].first - 1);
        }
}

static int echo_feed(Bytes item, Buffer *out) {
        static HandoverFeed f;
        int r;

        r = handover_get_feed(item, &f);
        if (r < 0)
                return r;
        check_ranges(&f.read);
        for (size_t i = 0; i < ELEMENTSOF(f.voids); i++)
                check_ranges(&f.voids[i]);
        return handover_put_feed(out, &f);
}

static int echo_feed_end(Bytes item, Buffer *out) {
        static HandoverFeedEnd f;
        int r;

        r = handover_get_feed_end(item, &f);
        if (r < 0)
                return r;
        check_ranges(&f.have);
        check_ranges(&f.read);
        return handover_put_feed_end(out, &f);
}

static int echo_entry(Bytes item, Buffer *out) {
        HandoverEntry e;
        int r;

        r = handover_get_entry(item, &e);
        if (r < 0)
                return r;
        MUST(e.entry.inner.size <= INNER_SIZE_MAX && e.mail.n_trackers <= MAIL_REPLICAS_MAX);
        MUST(e.own == (e.entry.state != ENTRY_RECEIVED));
        return handover_put_entry(out, &e);
}

static int echo_person(Bytes item, Buffer *out) {
        HandoverPerson p;
        int r;

        r = handover_get_person(item, &p);
        if (r < 0)
                return r;
        MUST(p.endpoints.n <= ENDPOINTS_MAX && p.record.size <= RECORD_MAX);
        MUST(strlen(p.alias) < NAME_SIZE);
        return handover_put_person(out, &p);
}

static int echo_keys(uint64_t kind, Bytes item, Buffer *out) {
        uint8_t key[BOX_KEY_SIZE];
        Bytes certificate;
        PrekeyRow p;
        int r;

        if (kind == HANDOVER_PREKEY) {
                r = handover_get_prekey(item, &p);
                return r < 0 ? r : handover_put_prekey(out, &p);
        }
        if (kind == HANDOVER_PRESENCE_KEY) {
                r = handover_get_presence_key(item, key);
                return r < 0 ? r : handover_put_presence_key(out, key);
        }
        r = handover_get_certificate(item, &certificate);
        return r < 0 ? r : handover_put_certificate(out, certificate);
}

static int echo_event(Bytes item, Buffer *out) {
        HandoverEvent e;
        int r;

        r = handover_get_event(item, &e);
        if (r < 0)
                return r;
        MUST(e.row.state < _MESSAGE_STATE_MAX && e.row.reason < _CODE_MAX);
        MUST(e.row.presence < _PRESENCE_MAX && e.row.change < _ROOM_EVENT_MAX);
        MUST(e.row.role < _ROOM_ROLE_MAX && e.row.topic.size <= ROOM_TOPIC_MAX);
        return handover_put_event(out, &e);
}

static int echo_other(uint64_t kind, Bytes item, Buffer *out) {
        HandoverClient c;
        ChosenPresence p;
        PasswordRow w;
        HandoverId h;
        int r;

        switch (kind) {
        case HANDOVER_ID:
                r = handover_get_id(item, &h);
                return r < 0 ? r : handover_put_id(out, &h);
        case HANDOVER_CLIENT:
                r = handover_get_client(item, &c);
                MUST(r < 0 || event_client_name_is_valid(c.name));
                return r < 0 ? r : handover_put_client(out, &c);
        case HANDOVER_CHOSEN_PRESENCE:
                r = handover_get_chosen_presence(item, &p);
                return r < 0 ? r : handover_put_chosen_presence(out, &p);
        case HANDOVER_PASSWORD:
                r = handover_get_password(item, &w);
                return r < 0 ? r : handover_put_password(out, &w);
        default:
                return -EBADMSG;
        }
}

static int echo_kind(uint64_t kind, Bytes item, Buffer *out) {
        switch (kind) {
        case HANDOVER_PREKEY:
        case HANDOVER_PRESENCE_KEY:
        case HANDOVER_CERTIFICATE:
                return echo_keys(kind, item, out);
        case HANDOVER_PERSON:
                return echo_person(item, out);
        case HANDOVER_FEED:
                return echo_feed(item, out);
        case HANDOVER_ENTRY:
                return echo_entry(item, out);
        case HANDOVER_FEED_END:
                return echo_feed_end(item, out);
        case HANDOVER_EVENT:
                return echo_event(item, out);
        default:
                return echo_other(kind, item, out);
        }
}

void fuzz_one(const uint8_t *data, size_t size) {
        Bytes piece = {.data = data, .size = size}, item;
        uint64_t kind;

        while (handover_item_next(&piece, &item, &kind) > 0) {
                _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
                int r;

                MUST(item.size > 0 && item.data >= data && item.data + item.size <= data + size);
                r = echo_kind(kind, item, &out);
                if (r == -EBADMSG)
                        continue;
                if (fuzz_failed()) {
                        MUST(r == -ENOMEM);
                        return;
                }
                if (!has_ignorable(item))
                        check_same(r, &out, item);
        }
}
