# Runs a PostgreSQL server for a test process, and ends it with that process.
#
# Arguments: the folder of PostgreSQL's programs, the server's folder, and the arguments of `postgres`.
# Each line of the input is a command; the script replies `ok`. The input ends when the test process ends, however it
# ends: the script then stops the server and removes its folder.

programs=$1
folder=$2
shift 2
pid=

all() {
    echo "$pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)"
}

# Signals of a terminal are meant for the test process.
trap '' HUP INT TERM

while read -r command argument; do
    case $command in
    start)
        "$programs/postgres" -D "$folder/data" "$@" </dev/null >>"$folder/log" 2>&1 &
        pid=$!
        ;;
    stop)
        kill "-$argument" "$pid"
        wait "$pid"
        ;;
    kill)
        # A stopped process starts no others.
        kill -STOP "$pid"
        kill -KILL $(all)
        wait "$pid"
        ;;
    pause) kill -STOP $(all) ;;
    resume) kill -CONT $(all) ;;
    esac
    echo ok
done

if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
    kill -CONT $(all)
    kill -QUIT "$pid"
    (sleep 5 && kill -KILL "$pid") 2>/dev/null &
    guard=$!
    wait "$pid"
    kill "$guard"
fi 2>/dev/null
rm -rf "$folder"
