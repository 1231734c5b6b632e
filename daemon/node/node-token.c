/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is a contact of somebody: who shows a token that he has signed. It names nobody, so the
 * tracker learns no more than that this session is one of his contacts. */

#include "node/node-internal.h"
#include "wire/mail.h"

int client_check_token(
        Client *c, Bytes token, const uint8_t account[static KEY_SIZE], usec_t *ret_until) {
        Node *n = c->node;
        DepositToken t;

        if (deposit_token_parse(token, &t) < 0 || !key_equal(t.account, account) ||
                t.expires <= loop_realtime(n->loop))
                return VIEWER_ANYBODY;
        if (!quota_take(&c->tokens, 1, loop_now(n->loop)))
                return -EBUSY;
        if (deposit_token_decode(token, &t) < 0)
                return VIEWER_ANYBODY;
        *ret_until = t.expires;
        return deposit_token_is_own(&t) ? VIEWER_SELF : VIEWER_CONTACT;
}
