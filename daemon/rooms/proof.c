/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who has signed: certificates, as they come with objects and as they are kept. */

#include "rooms/state.h"

static bool gives(const Certificate *c, const Author *a) {
        return room_author_is_certified(c, a->account, a->epoch, a->device, a->sent);
}

/* One that is kept was looked at when it came. */
static int prove_by_kept(Rooms *r, const Author *a, AuthorProof *ret) {
        Bytes outer;
        int e;

        if (key_equal(a->device, sign_key_public(&r->self->device)) && a->epoch == r->self->epoch)
                outer = buffer_bytes(&r->self->certificate);
        else {
                e = store_get_certificate(store_write(r->store), a->device, a->epoch, &outer);
                if (e <= 0)
                        return e;
        }
        if (certificate_parse(outer, &ret->certificate) < 0 || !gives(&ret->certificate, a))
                return 0;
        ret->outer = (Bytes){};
        return 1;
}

int author_prove(Rooms *r, const RoomCertificates *c, const Author *a, AuthorProof *ret) {
        int e;

        e = prove_by_kept(r, a, ret);
        for (size_t i = 0; e == 0 && c && i < c->n; i++)
                if (certificate_parse(c->list[i], &ret->certificate) >= 0 &&
                        gives(&ret->certificate, a) &&
                        certificate_decode(c->list[i], &ret->certificate) >= 0) {
                        ret->outer = c->list[i];
                        e = 1;
                }
        return e;
}

/* Of several for a device and epoch, the one that holds longest: it is for what was signed before
 * as well. */
int author_keep(Rooms *r, const AuthorProof *p) {
        Certificate held;
        Bytes outer;
        int e;

        if (p->outer.size == 0)
                return 0;
        e = store_get_certificate(
                store_write(r->store), p->certificate.device, p->certificate.epoch, &outer);
        if (e > 0 && certificate_parse(outer, &held) >= 0 && held.expires >= p->certificate.expires)
                return 0;
        return e < 0 ? e : store_keep_certificate(r->store, &p->certificate, p->outer);
}

int author_keep_own(Rooms *r) {
        AuthorProof p = {.outer = buffer_bytes(&r->self->certificate)};

        return certificate_parse(p.outer, &p.certificate) < 0 ? 0 : author_keep(r, &p);
}

int author_certificate(
        Rooms *r, DbTxn *txn, const uint8_t device[static KEY_SIZE], uint64_t epoch, Bytes *ret) {
        *ret = (Bytes){};
        if (key_equal(device, sign_key_public(&r->self->device)) && epoch == r->self->epoch) {
                *ret = buffer_bytes(&r->self->certificate);
                return 1;
        }
        return store_get_certificate(txn, device, epoch, ret);
}
