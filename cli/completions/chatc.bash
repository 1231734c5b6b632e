# SPDX-License-Identifier: GPL-3.0-or-later
#
# Completion of chatc for bash. chatc itself says what may stand there, and asks the daemon if it
# runs; what it prints is taken as it is and never evaluated.

_chatc() {
        local word line join= raw=${COMP_WORDS[COMP_CWORD]}
        local -a words=()
        local -i i

        COMPREPLY=()
        for ((i = 1; i <= COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                # bash takes --option=value for three words.
                if [[ $join || ($word == = && ${#words[@]} -gt 0 && ${words[-1]} == --*) ]]; then
                        words[-1]+=$word
                        [[ $word == = ]] && join=yes || join=
                        continue
                fi
                word=${word#[\"\']}
                words+=("${word//\\/}")
        done

        while IFS= read -r line; do
                if [[ $line == :files ]]; then
                        compopt -o default
                        return
                fi
                line=${line%%$'\t'*}
                [[ $line == --*=* ]] && line=${line#*=}
                # A room would begin a comment.
                [[ $line == '#'* && $raw != [\"\']* ]] && line="\\$line"
                COMPREPLY+=("$line")
        done < <(command chatc __complete -- "${words[@]}" 2>/dev/null)
}

complete -F _chatc chatc
