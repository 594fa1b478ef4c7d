package import Postgres
package import Redis
package import Redlock

/// What operators do with queues and jobs; each is a function of the database too, for those who have `psql` at hand.
package struct QueueOperations: Sendable {
    /// Something that is out of line.
    package struct Problem: Sendable, CustomStringConvertible {
        package let name: String
        package let key: String?
        package let job: JobID?
        package let detail: String

        /// Whether roles, or what they are granted, are missing.
        package var isOfAccess: Bool { ["role is missing", "role without its grants"].contains(name) }

        package var description: String {
            let place = [key.map { "key \($0)" }, job.map { "job \($0)" }].compactMap { $0 }
            return "\(name): \((place + [detail]).joined(separator: ", "))"
        }
    }

    private let pool: PostgresPool
    private let deadline: Duration

    package init(pool: PostgresPool, deadline: Duration = .seconds(10)) {
        self.pool = pool
        self.deadline = deadline
    }

    /// Cancels a job.
    ///
    /// - Returns: `cancelled`; `running` when its worker is to cancel its task; or the state that it had ended in.
    /// - Throws: `PostgresError`; with SQLSTATE P0002 when there is no such job.
    package func cancel(_ job: JobID) async throws -> Job.State? {
        let rows = try await givingWay {
            try await makingPartitions(on: pool) {
                try await pool.execute(OperationStatements.cancel, [.int64(job.rawValue)], within: deadline)
            }
        }
        return Job.State(rawValue: try rows[0].decode(String.self, at: 0))
    }

    /// Lets a finished job run again, at the end of its line.
    package func retry(_ job: JobID) async throws {
        _ = try await givingWay {
            try await pool.execute(OperationStatements.retry, [.int64(job.rawValue)], within: deadline)
        }
    }

    /// Changes the priority of an unfinished job, 0 (first) to 9, and that of its line.
    package func setPriority(_ job: JobID, _ priority: Int32) async throws {
        _ = try await givingWay {
            try await pool.execute(
                OperationStatements.setPriority,
                [.int64(job.rawValue), .int32(priority)],
                within: deadline
            )
        }
    }

    /// Starts no more jobs of a queue.
    package func pause(_ queue: String) async throws {
        _ = try await pool.execute(OperationStatements.pause, [.text(queue)], within: deadline)
    }

    /// Starts the jobs of a paused queue again.
    package func resume(_ queue: String) async throws {
        _ = try await pool.execute(OperationStatements.resume, [.text(queue)], within: deadline)
    }

    /// Sets how many unfinished jobs a queue may have, and any key in it; `nil` for any number.
    ///
    /// A limit of the queue holds once its jobs are counted. That is done here; or, if somebody who did not know of the
    /// limit is still storing some, by a worker as soon as those are stored.
    package func limit(_ queue: String, jobs: Int?, line: Int?) async throws {
        _ = try await pool.execute(
            OperationStatements.limit,
            [.text(queue), .int32(jobs.map { Int32(clamping: $0) }), .int32(line.map { Int32(clamping: $0) })],
            within: deadline
        )
        for _ in 0..<20 {
            let left = try await pool.execute(OperationStatements.count, [], within: .seconds(300))[0]
            guard try left.decode(Int.self, at: 0) > 0 else { return }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// What is out of line in the queue, the first thousand; it looks at every line and job.
    package func problems() async throws -> [Problem] {
        try await pool.execute(OperationStatements.doctor, [], within: .seconds(300)).map { row in
            Problem(
                name: try row.decode(String.self, at: 0),
                key: try row.decodeIfPresent(String.self, at: 1),
                job: try row.decodeIfPresent(Int64.self, at: 2).map(JobID.init),
                detail: try row.decode(String.self, at: 3)
            )
        }
    }

    /// Whether the value node has fences that this database has not drawn: then it is an older backup that was restored,
    /// or another's, and would draw fences that the node refuses.
    ///
    /// - Parameter node: The value node, connected; nothing is looked at without one.
    /// - Returns: The problem, and the highest fence of the node, unless it is that the node does not answer; `nil` when all
    ///   is well.
    /// - Throws: `PostgresError`.
    package func fencesBehind(_ node: RedisNode?) async throws -> (problem: Problem, highest: Fence?)? {
        guard let node else { return nil }
        var highest: (key: String, fence: Int64)?
        do {
            for try await fences in ValueFences(on: node) {
                guard let most = fences.max(by: { $0.fence < $1.fence }), most.fence > highest?.fence ?? 0 else {
                    continue
                }
                highest = most
            }
        } catch {
            return (Problem(name: "value node not looked at", key: nil, job: nil, detail: error.description), nil)
        }
        // Read last: it has only grown meanwhile.
        let drawn = try await lastFence().rawValue
        guard let highest, highest.fence > drawn else { return nil }
        let problem = Problem(
            name: "fences behind the value node",
            key: highest.key,
            job: nil,
            detail: """
                its value was written with fence \(highest.fence), and this database has drawn \(drawn) at most: an older \
                backup was restored, and until this is repaired writes are refused
                """
        )
        return (problem, Fence(highest.fence))
    }

    /// Lets fences be drawn that are higher than those of the value node.
    package func raiseFences(above highest: Fence) async throws {
        _ = try await pool.execute(OperationStatements.raiseFences, [.int64(highest.rawValue)], within: deadline)
    }

    /// The highest fence that this database has drawn.
    package func lastFence() async throws -> Fence {
        Fence(try await pool.execute(OperationStatements.lastFence, [], within: deadline)[0].decode(Int64.self, at: 0))
    }

    /// Puts lines in order, makes missing partitions, and raises sequences that are behind.
    ///
    /// - Returns: How many.
    /// - Throws: `PostgresError`.
    package func repair() async throws -> Int {
        try await pool.execute(OperationStatements.repair, [], within: .seconds(300))[0].decode(Int.self, at: 0)
    }
}

/// The statements of operators.
private enum OperationStatements {
    static let cancel = Statement(name: "cancel", sql: "select holdfast.cancel($1)")
    static let retry = Statement(name: "retry", sql: "select holdfast.retry($1)")
    static let setPriority = Statement(name: "set_priority", sql: "select holdfast.set_priority($1, $2)")
    static let pause = Statement(name: "pause", sql: "select holdfast.pause($1)")
    static let resume = Statement(name: "resume", sql: "select holdfast.resume($1)")
    static let limit = Statement(name: "limit_queue", sql: "select holdfast.limit_queue($1, $2, $3)")
    static let count = Statement(name: "count_queues", sql: "select holdfast.count_queues()")
    static let doctor = Statement(
        name: "doctor",
        sql: "select problem, lock_key, job_id, detail from holdfast.doctor() limit 1000"
    )
    static let lastFence = Statement(name: "last_fence", sql: "select holdfast.last_fence()")
    static let raiseFences = Statement(
        name: "raise_fences",
        sql: "select holdfast.raise_sequence('holdfast.fence', $1)"
    )
    static let repair = Statement(name: "repair", sql: "select holdfast.repair()")
}
