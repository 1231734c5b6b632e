/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "ring/peek.h"

static int certificate_peek(Bytes outer, Certificate *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        Signed s;
        int e;

        e = signed_decode(outer, &s);
        if (e < 0)
                return e;
        r = cbor_reader(s.body.data, s.body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                if (key == 2)
                        cbor_read_fixed(&r, ret->device, KEY_SIZE);
                else if (key == 5)
                        ret->expires = cbor_read_uint(&r);
                else
                        cbor_skip(&r);
        return cbor_finish(&r, &m, CBOR_BIT(2) | CBOR_BIT(5));
}

static Bytes read_device(CborReader *r) {
        Bytes certificate = {};
        uint64_t key;
        CborMap m;

        if (cbor_read_array(r, 1) != 1)
                cbor_refuse(r);
        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        certificate = cbor_read_bytes(r, CERTIFICATE_MAX);
                else
                        cbor_skip(r);
        return certificate;
}

static void read_flags(CborReader *r, Record *rec) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        rec->listed = cbor_read_bool(r);
                else if (key == 1)
                        rec->presence = (Visibility)cbor_read_uint_max(r, _VISIBILITY_MAX - 1);
                else if (key == 2)
                        rec->endpoints = (Visibility)cbor_read_uint_max(r, _VISIBILITY_MAX - 1);
                else
                        cbor_skip(r);
}

static void read_name(CborReader *r, Record *rec) {
        Bytes b = cbor_read_text(r, NAME_MAX_LENGTH);

        copy_bytes(rec->name, b.data, b.size);
}

static void record_peek_field(CborReader *r, Record *rec, uint64_t key) {
        switch (key) {
        case 1:
                cbor_read_fixed(r, rec->account, KEY_SIZE);
                break;
        case 2:
                read_name(r, rec);
                break;
        case 3:
                rec->certificate = read_device(r);
                break;
        case 4:
                rec->epoch = cbor_read_uint(r);
                break;
        case 5:
                rec->seq = cbor_read_uint(r);
                break;
        case 7:
                rec->expires = cbor_read_uint(r);
                break;
        case 9:
                read_flags(r, rec);
                break;
        default:
                cbor_skip(r);
        }
}

int record_peek(Bytes outer, Record *ret) {
        Record rec = {};
        CborReader r;
        uint64_t key;
        CborMap m;
        Signed s;
        int e;

        e = signed_decode(outer, &s);
        if (e < 0)
                return e;
        r = cbor_reader(s.body.data, s.body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                record_peek_field(&r, &rec, key);
        e = cbor_finish(&r, &m, 0x2be);
        if (e < 0)
                return e;
        e = certificate_peek(rec.certificate, &rec.device);
        if (e < 0)
                return e;
        *ret = rec;
        return 0;
}

int presence_peek(Bytes outer, PresenceRecord *ret) {
        PresenceRecord p = {};
        CborReader r;
        uint64_t key;
        CborMap m;
        Signed s;
        int e;

        e = signed_decode(outer, &s);
        if (e < 0)
                return e;
        r = cbor_reader(s.body.data, s.body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                if (key == 1)
                        cbor_read_fixed(&r, p.account, KEY_SIZE);
                else if (key == 2)
                        p.epoch = cbor_read_uint(&r);
                else if (key == 3)
                        cbor_read_fixed(&r, p.device, KEY_SIZE);
                else if (key == 5)
                        p.presence = (Presence)cbor_read_uint_max(&r, _PRESENCE_MAX - 1);
                else if (key == 7)
                        p.seq = cbor_read_uint(&r);
                else
                        cbor_skip(&r);
        e = cbor_finish(&r, &m, 0xae);
        if (e < 0)
                return e;
        *ret = p;
        return 0;
}
