/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/signed.h"

#include "wire/frame.h"

/* Nothing signs the outer map, so there are no ignorable keys in it: with them anybody could make
 * many objects out of one, and records are ordered by the hash of the whole. */
int signed_decode(Bytes outer, Signed *ret) {
        CborReader r = cbor_reader(outer.data, outer.size);
        Signed s = {};
        uint64_t key;
        CborMap m;
        int e;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                switch (key) {
                case 0:
                        s.body = cbor_read_bytes(&r, FRAME_CONTROL_MAX);
                        break;
                case 1:
                        cbor_read_fixed(&r, s.signature, SIGNATURE_SIZE);
                        break;
                case 2:
                        cbor_read_fixed(&r, s.countersignature, SIGNATURE_SIZE);
                        s.countersigned = true;
                        break;
                default:
                        cbor_refuse(&r);
                }
        e = cbor_finish(&r, &m, CBOR_BIT(0) | CBOR_BIT(1));
        if (e < 0)
                return e;
        *ret = s;
        return 0;
}

int signed_encode(
        Buffer *out, SignContext context, Bytes body, const SignKey *key, const SignKey *counter) {
        CborWriter w = cbor_writer(out);
        uint8_t s[SIGNATURE_SIZE];
        int r;

        r = sign(key, context, body.data, body.size, s);
        if (r < 0)
                return r;
        cbor_map_begin(&w);
        cbor_pair_bytes(&w, 0, body.data, body.size);
        cbor_pair_bytes(&w, 1, s, sizeof(s));
        if (counter) {
                r = sign(counter, context, body.data, body.size, s);
                if (r < 0)
                        return r;
                cbor_pair_bytes(&w, 2, s, sizeof(s));
        }
        cbor_map_end(&w);
        return w.error;
}
