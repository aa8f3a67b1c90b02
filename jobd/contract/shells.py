"""Completion as shells want it: a script for each, and the lines in which it is answered.

The script asks the program itself, `PROGRAM completion SHELL --for N -- WORD...`: what may stand in
the place of the word number N. An answer has three lines a proposal: its kind, the word, and what
it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple


class Proposal(NamedTuple):
    """A word that may stand there; or `word` is empty, and the kind says what the shell proposes:
    `file`, `dir` or `command`.
    """

    kind: str
    word: str = ""
    about: str = ""


# Whom they ask is the program in the PATH, not the one that is being typed: TAB behind the path of
# a stranger's file must not run that.
_BASH: Final = r"""_NAME_complete() {
    local kind word about lists=
    local -a abouts=()
    case ${COMP_TYPE:-9} in 63 | 33 | 64 | 37) lists=yes ;; esac
    COMPREPLY=()
    while IFS= read -r kind && IFS= read -r word && IFS= read -r about; do
        case $kind in
        file) compopt -o default ;;
        dir) compopt -o dirnames ;;
        command) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -c -- "$2") ;;
        *)
            printf -v word %q "$word"
            COMPREPLY+=("$word")
            abouts+=("$about")
            ;;
        esac
    done < <(command NAME completion bash --for "$COMP_CWORD" -- "${COMP_WORDS[@]}" 2>/dev/null)
    # Only where they are listed, and none is inserted, something may stand behind the words.
    if [[ $lists && ${#abouts[@]} -gt 1 && ${#abouts[@]} -eq ${#COMPREPLY[@]} ]]; then
        local at
        for at in "${!abouts[@]}"; do
            [[ ${abouts[at]} ]] && COMPREPLY[at]+="  (${abouts[at]})"
        done
    fi
}
complete -o nosort -F _NAME_complete NAME 2>/dev/null || complete -F _NAME_complete NAME
"""

_ZSH: Final = r"""#compdef NAME
_NAME() {
    local kind word about
    local -a found
    while IFS= read -r kind && IFS= read -r word && IFS= read -r about; do
        case $kind in
        file) _files ;;
        dir) _files -/ ;;
        command) _command_names -e ;;
        *) found+=("${word//:/\\:}${about:+:$about}") ;;
        esac
    done < <(command NAME completion zsh --for $((CURRENT - 1)) -- "${words[@]}" 2>/dev/null)
    (( $#found )) && _describe -V NAME found
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _NAME "$@"
else
    compdef _NAME NAME
fi
"""

_FISH: Final = r"""function __NAME_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    command NAME completion fish --for (count $words) -- $words $current 2>/dev/null |
    while read -l kind; and read -l word; and read -l about
        switch $kind
            case file
                __fish_complete_path $current
            case dir
                __fish_complete_directories $current
            case command
                complete -C "$current"
            case '*'
                printf '%s\t%s\n' $word $about
        end
    end
end
complete -c NAME -e
complete -c NAME -f -k -a '(__NAME_complete)'
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""By the name of the shell; NAME is the program's."""


def script(shell: str, program: str) -> str:
    """What the shell is to read."""
    return SCRIPTS[shell].replace("NAME", program)


def answer(proposals: Iterable[Proposal]) -> Iterator[str]:
    """Lines for that script. A word with a character that no line can have is left out."""
    for proposal in proposals:
        if proposal.word.isprintable():
            yield from proposal


def asked(number: int, words: list[str], shell: str) -> tuple[list[str], str, str]:
    """Of a line with the program's name in it: the words before the one that is asked for, that
    itself, and what stands before each proposal for it.
    """
    before, word = words[1:number], words[number] if number < len(words) else ""
    if shell == "bash":
        # There `=` parts words: `--state=run` is three of them.
        before = [each for at, each in enumerate(before) if not (each == "=" and at)]
        return before, "" if word == "=" else word, ""
    option, equals, value = word.partition("=")
    if word.startswith("--") and equals:
        return [*before, option], value, f"{option}="
    return before, word, ""
