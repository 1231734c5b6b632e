/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms with nobody to speak to: in the place of sync.c until that is there. */

#include "rooms/private.h"
int rooms_new(Loop *loop, Store *store, const Identity *self, const LocalIdentity *local,
        unsigned max_members, const RoomsCallbacks *callbacks, void *userdata, Rooms **ret) {
        return rooms_open(loop, store, self, local, max_members, callbacks, userdata, ret);
}
Rooms *rooms_free(Rooms *r) {
        return rooms_close(r);
}
void rooms_start(Rooms *r) {
        rooms_begin(r);
}
void rooms_stop(Rooms *r) {
        rooms_end(r);
}
void rooms_link_up(Rooms *r, Link *l) {
}
void rooms_link_down(Rooms *r, const uint8_t account[static KEY_SIZE]) {
}
int rooms_frame(Rooms *r, Link *l, Frame *f) {
        return 0;
}
void rooms_drained(Rooms *r, Link *l) {
}
void rooms_notice(Rooms *r, Bytes notice, Bytes record) {
}
void rooms_presence(Rooms *r, const uint8_t account[static KEY_SIZE], bool online) {
}
int rooms_join(Rooms *r, const RoomsJoin *j, RoomsDoneFn fn, void *userdata, RoomsError *e) {
        return rooms_error(e, CODE_TIMEOUT, "nobody answers");
}
void rooms_forget(Rooms *r, void *userdata) {
}
void rooms_type(Rooms *r, uint32_t room, bool on) {
}
int rooms_ask(Rooms *r, const char *words, RoomsOfferFn fn, void *userdata) {
        fn(userdata, NULL);
        return 0;
}
