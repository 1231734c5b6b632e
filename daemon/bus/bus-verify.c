/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Comparing safety numbers. */

#include "bus/bus-internal.h"

#include <qrencode.h>

#define QR_VERSION 2 /* the smallest that holds the digits */
#define QR_MODULE_DARK 1 /* of what libqrencode says in a module's byte */

/* The width, then a byte for each module. */
static void append_qr(BusDict *d, const char *text) {
        QRcode *code = QRcode_encodeString(text, QR_VERSION, QR_ECLEVEL_M, QR_MODE_8, 1);
        uint8_t matrix[1 + 177 * 177], *p = matrix;

        if (!code) {
                d->r = -ENOMEM;
                return;
        }
        *p++ = (uint8_t)code->width;
        for (int i = 0; i < code->width * code->width; i++)
                *p++ = code->data[i] & QR_MODULE_DARK;
        QRcode_free(code);
        bus_dict_open_value(d, "qr", "ay");
        if (d->r >= 0)
                d->r = sd_bus_message_append_array(d->m, 'y', matrix, (size_t)(p - matrix));
        bus_dict_close_value(d);
}

static int answer_new(sd_bus_message *call, const ChatVerification *v, sd_bus_message **ret) {
        BusDict d;
        int r;

        r = sd_bus_message_new_method_return(call, ret);
        if (r < 0)
                return r;
        d = bus_dict_open(*ret);
        bus_dict_string(&d, "safety-number", v->safety_number);
        bus_dict_bool(&d, "verified", v->verified);
        append_qr(&d, v->safety_number);
        return bus_dict_close(&d);
}

static void on_verified(void *userdata, const ChatError *error) {
        BusOp *o = userdata;

        if (error)
                bus_op_refuse(o, error);
        else
                bus_op_reply(o, o->list.reply);
}

/* The answer is made before anything is written, and held until it is true. */
int bus_method_verify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        bool decided = false;
        int confirm = false;
        const BusOption options[] = {
                {"confirm", 'b', &confirm, &decided},
                {},
        };
        ChatVerification v;
        ChatError refusal;
        Bus *b = userdata;
        const char *name;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        if (chat_verify(b->chat, name, &v, &refusal) < 0)
                return bus_reply_error(m, &refusal);
        if (decided)
                v.verified = confirm;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        r = answer_new(m, &v, &o->list.reply);
        if (r < 0) {
                bus_op_drop(o);
                return r;
        }
        if (decided)
                chat_set_verified(b->chat, name, confirm, on_verified, o);
        else
                on_verified(o, NULL);
        return 1;
}
