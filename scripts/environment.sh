# Sourced by the scripts beside it: one virtual environment in .venv, installed again only when what it was
# made from has changed.

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14 python; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "Arkor Studio needs Python 3.11 or newer. Install it, or name it: PYTHON=/path/to/python3 $0" >&2
    return 1
}

# ensure_environment EXTRAS: .venv holds this package, editable, with at least these extras.
ensure_environment() {
    local extras=$1 python fingerprint
    fingerprint=$(cat pyproject.toml constraints.txt | cksum)
    case "$(cat .venv/installed 2>/dev/null)" in
    "$fingerprint"*"[$extras"*) return ;;
    esac
    python=$(find_python)
    if [ ! -x .venv/bin/python ]; then
        echo "Making a Python environment in .venv …"
        "$python" -m venv .venv || {
            echo "This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv" >&2
            return 1
        }
    fi
    .venv/bin/python scripts/install.py "$extras"
    printf '%s [%s]\n' "$fingerprint" "$extras" > .venv/installed
}
