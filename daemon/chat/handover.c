/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What another device of the account has, on its way to the active one. */

#include "chat/room.h"

void handover_fill(const Chat *c, ChatHandOver *ret) {
        HandoverState s;

        handover_get_state(c->parts.handover, &s);
        *ret = (ChatHandOver){.active = s.active,
                .giving = s.giving,
                .waiting = s.waiting,
                .done = s.done,
                .total = s.total,
                .refused = s.refused};
}

void hand_over_accept(Chat *c, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;
        int r;

        if (!o)
                return;
        r = handover_accept(c->parts.handover);
        if (r == -ENOENT)
                r = chat_error(&e, CODE_INVALID_ARGS,
                        "That is you yourself, and no hand-over waits on this device.");
        operation_settle(o, r, &e);
}

void chat_on_handover(Chat *c) {
        chat_properties_changed(c, CHAT_HAND_OVER);
}

void chat_on_handed_over(Chat *c, HandoverStage stage) {
        if (stage < HANDOVER_STAGE_PEOPLE || !account_is_active(c->parts.account))
                return;
        c->names.counted = false;
        chat_take_contacts(c);
        if (stage >= HANDOVER_STAGE_ROOMS) {
                room_objects_start(c);
                rooms_publish_start(c);
        }
        chat_properties_changed(c, CHAT_QUEUED);
}
