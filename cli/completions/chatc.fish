# SPDX-License-Identifier: GPL-3.0-or-later
#
# Completion of chatc for fish. chatc itself says what may stand there, and asks the daemon if it
# runs; what it prints is taken as it is and never evaluated.

function __chatc_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string replace -r -- '^["\']' '' | string replace -a -- \\ '')
    set -l lines (command chatc __complete -- $words[2..] "$current" 2>/dev/null)
    if test "$lines[1]" = :files
        set -l option (string match -r -- '^--[^=]*=' "$current")
        for path in (__fish_complete_path (string replace -- "$option" '' "$current"))
            printf '%s%s\n' "$option" $path
        end
    else
        string join -- \n $lines
    end
end

complete -c chatc -f -a '(__chatc_complete)'
