/// Every metric that Holdfast shows.
package enum MetricCatalogue {
    /// In the order in which they are shown.
    package static let all = queues + jobs + locks + storage + http + process

    /// From half a millisecond to a minute, in steps that about double.
    private static let seconds = MetricDescription.Kind.histogram(
        bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    )
    /// From ten milliseconds to an hour.
    private static let longSeconds = MetricDescription.Kind.histogram(
        bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600]
    )
    private static let counts = MetricDescription.Kind.histogram(
        bounds: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
    )

    /// What the database says of all of Holdfast: each intake has the same, so take the largest and not the sum.
    private static let queues: [MetricDescription] = [
        .init("holdfast_database_up", .gauge, "Whether the last question to PostgreSQL had an answer."),
        .init(
            "holdfast_queue_counts_age_seconds",
            .gauge,
            "How old what is shown of queues is: long when it takes long."
        ),
        .init("holdfast_queue_depth", .gauge, "Unfinished jobs of a queue."),
        .init("holdfast_queue_scheduled_jobs", .gauge, "Unfinished jobs that are not due yet."),
        .init("holdfast_queue_ready_lines", .gauge, "Lines that are ready, of any kind."),
        .init("holdfast_queue_running_lines", .gauge, "Lines that workers have claimed."),
        .init(
            "holdfast_queue_oldest_wait_seconds",
            .gauge,
            "How long the longest line has been ready of a kind that a live worker takes."
        ),
        .init("holdfast_queue_unserved_lines", .gauge, "Lines that are ready of a kind that no live worker takes."),
        .init("holdfast_queue_unserved_wait_seconds", .gauge, "How long the longest of those has been ready."),
        .init("holdfast_queue_paused", .gauge, "Whether no job of the queue is started."),
        .init("holdfast_workers", .gauge, "Workers that had a heartbeat in the last 10 s."),
        .init("holdfast_worker_claims", .gauge, "Lines that those workers have claimed."),
    ]

    private static let jobs: [MetricDescription] = [
        .init("holdfast_jobs_accepted_total", .counter, "Jobs that were stored for the first time, by this process."),
        .init("holdfast_jobs_refused_total", .counter, "Submissions that were not taken, by why."),
        .init("holdfast_jobs_finished_total", .counter, "Jobs that ended, by their state."),
        .init("holdfast_claims_total", .counter, "Lines claimed."),
        .init("holdfast_claimed_jobs_total", .counter, "Jobs of lines claimed; some may be given back unstarted."),
        .init("holdfast_line_wait_seconds", longSeconds, "From when a line was ready until it was claimed."),
        .init("holdfast_attempts_total", .counter, "Attempts that had their lock, by how they ended."),
        .init("holdfast_lock_wait_seconds", longSeconds, "From the first try for a job's lock until it was had."),
        .init("holdfast_hold_seconds", longSeconds, "How long jobs had their holds, or their parts of one."),
        .init("holdfast_refused_writes_total", .counter, "What came too late and changed nothing, by where."),
        .init("holdfast_settlements_total", .counter, "Settlements by how they went."),
        .init("holdfast_rescued_lines_total", .counter, "Lines of dead workers, put back by this worker."),
        .init("holdfast_slots", .gauge, "How many tasks this worker may run at once."),
        .init("holdfast_slots_used", .gauge, "How many lines this worker runs tasks of."),
    ]

    private static let locks: [MetricDescription] = [
        .init("holdfast_lock_acquires_total", .counter, "Tries for a lock, by how they ended."),
        .init("holdfast_lock_acquire_seconds", seconds, "From the question to the hold, of tries that had a quorum."),
        .init("holdfast_lock_extensions_total", .counter, "Extensions of holds, by how they ended."),
        .init("holdfast_holds_cancelled_total", .counter, "Holds whose task was cancelled, by why."),
        .init("holdfast_lock_votes_total", .counter, "Votes of a node, by verdict."),
        .init("holdfast_lock_nodes", .gauge, "Lock nodes that are configured."),
        .init("holdfast_lock_nodes_voting", .gauge, "Lock nodes that are connected, may vote, and do."),
        .init("holdfast_lock_quorum", .gauge, "How many lock nodes must agree."),
        .init("holdfast_lock_node_connected", .gauge, "Whether a node is connected."),
        .init("holdfast_lock_node_refuses", .gauge, "Whether a node answers with errors, and has no vote."),
        .init("holdfast_lock_node_quarantined", .gauge, "Whether a node has no vote, as it may have forgotten locks."),
        .init("holdfast_value_node_writable", .gauge, "Whether the value node does what a write asks of it."),
        .init("holdfast_lock_node_connections_total", .counter, "Connections that were made to a node."),
        .init("holdfast_lock_node_losses_total", .counter, "Connections to a node that were lost."),
        .init("holdfast_lock_node_clock_steps_total", .counter, "Holds on which a node's clock was seen to step."),
    ]

    private static let storage: [MetricDescription] = [
        .init("holdfast_batch_size", counts, "What was stored in one commit, by what it is."),
        .init("holdfast_batch_seconds", seconds, "How long such a commit took, by what it is."),
        .init("holdfast_database_connections", .gauge, "Connections of this process to PostgreSQL, by what they do."),
        .init("holdfast_database_connections_limit", .gauge, "How many it may open."),
        .init("holdfast_database_waiters", .gauge, "Who waits for a connection."),
    ]

    private static let http: [MetricDescription] = [
        .init("holdfast_http_requests_total", .counter, "Requests by method, route and status."),
        .init("holdfast_http_request_seconds", seconds, "From a request's head until its answer began, by route."),
        .init("holdfast_http_connections", .gauge, "Connections of clients."),
        .init("holdfast_http_held_bytes", .gauge, "Bytes of requests and answers that this intake holds."),
        .init("holdfast_http_held_limit_bytes", .gauge, "Beyond which a request is answered 503 at once."),
        .init("holdfast_submissions_waiting", .gauge, "Jobs that wait to be stored."),
        .init("holdfast_submissions_waiting_bytes", .gauge, "What those weigh."),
        .init("holdfast_submissions_waiting_limit_bytes", .gauge, "What they may weigh; more is refused."),
        .init("holdfast_job_watchers", .gauge, "Requests that wait for a job to finish."),
        .init("holdfast_event_listeners", .gauge, "Listeners to lock events."),
    ]

    private static let process: [MetricDescription] = [
        .init("holdfast_log_lines_dropped_total", .counter, "Lines of the log that nobody read in time."),
        .init("process_cpu_seconds_total", .counter, "Processor time that was used."),
        .init("process_resident_memory_bytes", .gauge, "Memory in use."),
        .init("process_virtual_memory_bytes", .gauge, "Address space in use."),
        .init("process_open_fds", .gauge, "Open files and sockets."),
        .init("process_max_fds", .gauge, "How many may be open."),
        .init("process_start_time_seconds", .gauge, "When the process was started, in Unix time."),
    ]
}
