/// What `holdfast-bench all` measures: commands, in the order in which they are run.
enum Extent {
    static let full = [
        "intake",
        "bulk",
        "drain --spread distinct --processes 1,2",
        "drain --spread keys,zipf",
        "drain --spread one,beside --jobs 30000",
        "flooded",
        "while-others",
        "hand-off",
        "latency",
        "concurrent --runs 1",
        "backlog",
        "ready-among-waiting",
        "snapshot --runs 1",
        "scale",
        "idle",
        "start-up --runs 11",
    ]

    static let quick = [
        "intake --seconds 2 --runs 1",
        "bulk --seconds 2 --runs 1",
        "drain --spread distinct --processes 1,2 --jobs 20000 --runs 1",
        "drain --spread keys,zipf --jobs 20000 --runs 1",
        "drain --spread one,beside --jobs 2000 --runs 1",
        "flooded --seconds 3 --runs 1",
        "while-others --jobs 20000 --depth 60 --seconds 1 --runs 1",
        "hand-off --jobs 2000 --runs 1",
        "latency --jobs 300 --runs 1",
        "concurrent --jobs 10000 --runs 1",
        "backlog --waiting 10000,300000 --runs 1",
        "ready-among-waiting --waiting 100000 --claims 500 --runs 1",
        "snapshot --minutes 0.2 --runs 1",
        "scale --seconds 2 --runs 1",
        "idle --seconds 5 --runs 1",
        "start-up",
    ]

    static let smallest = [
        "intake --seconds 0.2 --runs 1",
        "bulk --seconds 0.2 --runs 1",
        "drain --spread distinct --processes 1,2 --jobs 500 --runs 1",
        "drain --spread keys,zipf --jobs 500 --runs 1",
        "drain --spread one,beside --jobs 200 --runs 1",
        "flooded --seconds 2 --runs 1",
        "while-others --jobs 3000 --others 20 --depth 400 --seconds 0.5 --runs 1",
        "hand-off --jobs 200 --runs 1",
        "latency --jobs 20 --runs 1",
        "concurrent --jobs 100 --task-seconds 2 --runs 1",
        "backlog --waiting 1000,5000 --portion 1000 --runs 1",
        "ready-among-waiting --waiting 10000 --claims 50 --runs 1",
        "snapshot --minutes 0.05 --runs 1",
        "scale --seconds 0.5 --runs 1",
        "idle --seconds 1 --runs 1",
        "start-up --runs 1",
    ]
}
