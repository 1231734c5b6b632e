/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/room-directory.h"

#include "wire/room-internal.h"

/* ROOM_PUBLISH */

int room_publish_encode(Buffer *out, uint64_t request, const RoomPublish *p) {
        CborWriter w;

        if (p->n_enter > ROOM_ENTER_MAX || p->n_leave > ROOM_ENTER_MAX ||
                (p->record.size == 0 && p->n_enter == 0 && p->n_leave == 0))
                return -EINVAL;
        w = frame_begin(out, FRAME_ROOM_PUBLISH, request);
        cbor_pair_some(&w, 3, p->record);
        if (p->n_enter > 0) {
                cbor_key(&w, 4);
                cbor_put_array(&w, p->n_enter);
        }
        for (size_t i = 0; i < p->n_enter; i++) {
                cbor_map_begin(&w);
                cbor_pair_bytes(&w, 0, p->enter[i].room, ROOM_ID_SIZE);
                if (p->enter[i].has_door)
                        cbor_pair_bytes(&w, 1, p->enter[i].door, ROOM_DOOR_SIZE);
                cbor_map_end(&w);
        }
        room_hashes_write(&w, 5, p->leave, p->n_leave);
        return frame_end(&w);
}

static void publish_read_enter(CborReader *r, RoomPublish *p, size_t i) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        cbor_read_fixed(r, p->enter[i].room, ROOM_ID_SIZE);
                else if (key == 1) {
                        cbor_read_fixed(r, p->enter[i].door, ROOM_DOOR_SIZE);
                        p->enter[i].has_door = true;
                } else
                        cbor_unknown_key(r, key);
        if (!(m.seen & CBOR_BIT(0)))
                cbor_refuse(r);
}

int room_publish_decode(Frame *f, RoomPublish *ret) {
        uint64_t key;
        int e;

        memset(ret, 0, sizeof(*ret));
        while (frame_next(f, &key))
                if (key == 3)
                        ret->record = cbor_read_some(&f->reader, ROOM_RECORD_MAX);
                else if (key == 4) {
                        ret->n_enter = cbor_read_array(&f->reader, ROOM_ENTER_MAX);
                        if (ret->n_enter == 0)
                                cbor_refuse(&f->reader);
                        for (size_t i = 0; i < ret->n_enter; i++)
                                publish_read_enter(&f->reader, ret, i);
                } else if (key == 5)
                        ret->n_leave = room_hashes_read(&f->reader, ret->leave, ROOM_ENTER_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        return ret->record.size > 0 || ret->n_enter > 0 || ret->n_leave > 0 ? 0 : -EBADMSG;
}

/* ROOM_LOOKUP */

int room_lookup_encode(Buffer *out, uint64_t request, const RoomLookup *l) {
        CborWriter w = frame_begin(out, FRAME_ROOM_LOOKUP, request);

        if (l->name[0])
                cbor_pair_text(&w, 3, l->name);
        else
                cbor_pair_bytes(&w, 4, l->room, ROOM_ID_SIZE);
        if (l->has_door)
                cbor_pair_bytes(&w, 5, l->door, ROOM_DOOR_SIZE);
        return frame_end(&w);
}

int room_lookup_decode(Frame *f, RoomLookup *ret) {
        RoomLookup l = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        room_name_read(&f->reader, l.name);
                        break;
                case 4:
                        cbor_read_fixed(&f->reader, l.room, ROOM_ID_SIZE);
                        break;
                case 5:
                        cbor_read_fixed(&f->reader, l.door, ROOM_DOOR_SIZE);
                        l.has_door = true;
                        break;
                default:
                        cbor_unknown_key(&f->reader, key);
                }
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        if (!!(f->map.seen & CBOR_BIT(3)) == !!(f->map.seen & CBOR_BIT(4)))
                return -EBADMSG;
        *ret = l;
        return 0;
}

int room_lookup_answer_encode(Buffer *out, uint64_t request, const RoomLookupAnswer *a) {
        CborWriter w;

        if (a->n_online > ROOM_ONLINE_MAX || a->count < a->n_online)
                return -EINVAL;
        w = frame_begin(out, FRAME_OK, request);
        cbor_pair_bytes(&w, 3, a->record.data, a->record.size);
        room_hashes_write(&w, 4, a->online, a->n_online);
        cbor_pair_uint(&w, 5, a->count);
        return frame_end(&w);
}

int room_lookup_answer_decode(Frame *f, RoomLookupAnswer *ret) {
        uint64_t key;
        int e;

        memset(ret, 0, sizeof(*ret));
        while (frame_next(f, &key))
                if (key == 3)
                        ret->record = cbor_read_some(&f->reader, ROOM_RECORD_MAX);
                else if (key == 4)
                        ret->n_online = room_hashes_read(&f->reader, ret->online, ROOM_ONLINE_MAX);
                else if (key == 5)
                        ret->count = cbor_read_uint_max(&f->reader, UINT32_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(5));
        if (e < 0)
                return e;
        return ret->count >= ret->n_online ? 0 : -EBADMSG;
}

/* ROOM_LIST */

int room_list_encode(Buffer *out, uint64_t request, const RoomList *l) {
        CborWriter w = frame_begin(out, FRAME_ROOM_LIST, request);

        if (l->words.size > 0) {
                cbor_key(&w, 3);
                cbor_put_text_bytes(&w, l->words);
        }
        cbor_pair_some(&w, 4, l->after);
        cbor_pair_uint(&w, 5, l->limit);
        return frame_end(&w);
}

int room_list_decode(Frame *f, RoomList *ret) {
        RoomList l = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3) {
                        l.words = cbor_read_text(&f->reader, ROOM_LIST_WORDS_MAX);
                        if (l.words.size == 0)
                                cbor_refuse(&f->reader);
                } else if (key == 4)
                        l.after = cbor_read_some(&f->reader, ROOM_LIST_AFTER_MAX);
                else if (key == 5)
                        l.limit = cbor_read_uint(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(5));
        if (e < 0)
                return e;
        l.limit = CLAMP(l.limit, 1, ROOM_LIST_MAX);
        *ret = l;
        return 0;
}

int room_list_answer_encode(Buffer *out, uint64_t request, const RoomListAnswer *a) {
        CborWriter w;

        if (a->n_rooms > ROOM_LIST_MAX)
                return -EINVAL;
        w = frame_begin(out, FRAME_OK, request);
        cbor_key(&w, 3);
        cbor_put_array(&w, a->n_rooms);
        for (size_t i = 0; i < a->n_rooms; i++) {
                cbor_map_begin(&w);
                cbor_pair_bytes(&w, 0, a->rooms[i].record.data, a->rooms[i].record.size);
                cbor_pair_uint(&w, 1, a->rooms[i].online);
                cbor_map_end(&w);
        }
        cbor_pair_some(&w, 4, a->after);
        return frame_end(&w);
}

static void list_read_entry(CborReader *r, RoomListAnswer *a, size_t i) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        a->rooms[i].record = cbor_read_some(r, ROOM_RECORD_MAX);
                else if (key == 1)
                        a->rooms[i].online = cbor_read_uint_max(r, UINT32_MAX);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 3) != 3)
                cbor_refuse(r);
}

int room_list_answer_decode(Frame *f, RoomListAnswer *ret) {
        uint64_t key;

        memset(ret, 0, sizeof(*ret));
        while (frame_next(f, &key))
                if (key == 3) {
                        ret->n_rooms = cbor_read_array(&f->reader, ROOM_LIST_MAX);
                        for (size_t i = 0; i < ret->n_rooms; i++)
                                list_read_entry(&f->reader, ret, i);
                } else if (key == 4)
                        ret->after = cbor_read_some(&f->reader, ROOM_LIST_AFTER_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        return frame_close(f, CBOR_BIT(3));
}

/* ROOM_UPDATE */

static bool update_is_valid(const RoomUpdate *u) {
        return u->n_accounts <= ROOM_UPDATE_ACCOUNTS_MAX && u->state >= ROOM_PRESENCE_NONE &&
                u->state < _ROOM_PRESENCE_MAX &&
                (u->n_accounts > 0) == (u->state != ROOM_PRESENCE_NONE) &&
                (u->n_accounts > 0 || u->record.size > 0);
}

int room_update_encode(Buffer *out, const RoomUpdate *u) {
        CborWriter w;

        if (!update_is_valid(u))
                return -EINVAL;
        w = frame_begin(out, FRAME_ROOM_UPDATE, 0);
        cbor_pair_some(&w, 3, u->record);
        cbor_pair_bytes(&w, 4, u->room, ROOM_ID_SIZE);
        room_hashes_write(&w, 5, u->accounts, u->n_accounts);
        if (u->n_accounts > 0)
                cbor_pair_uint(&w, 6, u->state);
        return frame_end(&w);
}

int room_update_decode(Frame *f, RoomUpdate *ret) {
        uint64_t key;
        int e;

        memset(ret, 0, sizeof(*ret));
        while (frame_next(f, &key))
                if (key == 3)
                        ret->record = cbor_read_some(&f->reader, ROOM_RECORD_MAX);
                else if (key == 4)
                        cbor_read_fixed(&f->reader, ret->room, ROOM_ID_SIZE);
                else if (key == 5)
                        ret->n_accounts = room_hashes_read(
                                &f->reader, ret->accounts, ROOM_UPDATE_ACCOUNTS_MAX);
                else if (key == 6)
                        ret->state = (RoomPresence)cbor_read_positive(
                                &f->reader, _ROOM_PRESENCE_MAX - 1);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(4));
        if (e < 0)
                return e;
        return update_is_valid(ret) ? 0 : -EBADMSG;
}
