import Postgres
import Redlock

extension JobStore {
    /// Stores those jobs of a batch that may be stored, in one commit.
    ///
    /// - Parameters:
    ///   - jobs: At least one; for each key, in the order in which they are to run.
    ///   - limits: Of the queues; taken on.
    /// - Returns: For each, in the same order, a receipt, or why it was refused. A job whose idempotency key has stored
    ///   the same before has that one's receipt.
    /// - Throws: `PostgresError`; nothing is stored then.
    func submit(_ jobs: [NewJob], _ limits: QueueLimits) async throws -> [Result<JobReceipt, SubmissionRefusal>] {
        var results = try await refusals(jobs, limits)
        let accepted = jobs.indices.filter { results[$0] == nil }
        guard !accepted.isEmpty else { return results.compactMap { $0 } }
        let batch = accepted.map { jobs[$0] }
        let receipts: [Result<JobReceipt, SubmissionRefusal>] =
            batch.contains { $0.idempotencyKey != nil }
            ? try await storeOnce(batch) : try await enqueue(batch).map { .success($0) }
        for (index, receipt) in zip(accepted, receipts) { results[index] = receipt }
        return results.compactMap { $0 }
    }

    /// Stores a batch of jobs in one commit, all or none.
    ///
    /// - Parameters:
    ///   - jobs: At least one; for each key, in the order in which they are to run.
    ///   - limits: Of the queues; taken on.
    /// - Returns: A receipt for each, in the same order.
    /// - Throws: ``BatchRefusal`` for the first that is refused, or `PostgresError`; nothing is stored then.
    func submitWhole(_ jobs: [NewJob], _ limits: QueueLimits) async throws -> [JobReceipt] {
        for (index, refusal) in try await refusals(jobs, limits).enumerated() {
            if case .failure(let refusal) = refusal { throw BatchRefusal(index: index, refusal: refusal) }
        }
        return jobs.contains { $0.idempotencyKey != nil }
            ? try await storeOnce(jobs, wholly: true).map { try $0.get() } : try await enqueue(jobs)
    }

    /// Those of some keys whose lines another transaction has locked.
    func lockedLines(of keys: Set<LockKey>) async throws -> Set<LockKey> {
        let rows = try await pool.execute(
            QueueStatements.lockedLines,
            [.texts(keys.map(\.text))],
            within: deadline
        )
        return Set(try rows.map { LockKey(stored: try $0.decode(String.self, at: 0)) })
    }

    /// Refuses what is beyond a limit.
    private func refusals(
        _ jobs: [NewJob],
        _ limits: QueueLimits
    ) async throws -> [Result<JobReceipt, SubmissionRefusal>?] {
        var results = [Result<JobReceipt, SubmissionRefusal>?](repeating: nil, count: jobs.count)
        let known = try await limits.current(pool, within: deadline)
        guard jobs.contains(where: { known[$0.queue] != nil }) else { return results }
        // One that was stored before is no more to store, however full its queue is.
        let stored = try await storedBefore(jobs)
        var depths = try await depths(of: Set(jobs.map(\.queue)).filter { known[$0]?.jobs != nil })
        var lines = try await lineDepths(jobs, known)
        for (index, job) in jobs.enumerated() {
            guard let limit = known[job.queue], stored[index] == nil else { continue }
            if let most = limit.jobs, depths[job.queue, default: 0] >= most {
                results[index] = .failure(.queueFull(queue: job.queue, limit: most))
            } else if let most = limit.line, lines[job.key, default: 0] >= most {
                results[index] = .failure(.lineFull(key: job.key, limit: most))
            } else {
                depths[job.queue, default: 0] += 1
                lines[job.key, default: 0] += 1
            }
        }
        return results
    }

    /// Those jobs whose idempotency keys have a job already.
    private func storedBefore(_ jobs: [NewJob]) async throws -> [Int: Result<JobReceipt, SubmissionRefusal>] {
        let keyed = jobs.indices.filter { jobs[$0].idempotencyKey != nil }
        guard !keyed.isEmpty else { return [:] }
        let rows = try await pool.execute(
            QueueStatements.reserveIDs,
            QueueStatements.keyed(keyed.map { jobs[$0] }, onlyKnown: true),
            within: deadline
        )
        var stored: [Int: Result<JobReceipt, SubmissionRefusal>] = [:]
        for row in rows {
            let index = keyed[try row.decode(Int.self, at: 0) - 1]
            stored[index] = try .known(row, jobs[index])
        }
        return stored
    }

    /// How many unfinished jobs queues have.
    private func depths(of queues: Set<String>) async throws -> [String: Int] {
        guard !queues.isEmpty else { return [:] }
        var depths: [String: Int] = [:]
        for row in try await pool.execute(QueueStatements.depths, [.texts(Array(queues))], within: deadline) {
            depths[try row.decode(String.self, at: 0)] = try row.decode(Int.self, at: 1)
        }
        return depths
    }

    /// How many jobs the keys have in line whose queue has a limit for that.
    private func lineDepths(_ jobs: [NewJob], _ limits: [String: QueueLimits.Limit]) async throws -> [LockKey: Int] {
        var most: [LockKey: Int] = [:]
        for job in jobs {
            if let limit = limits[job.queue]?.line { most[job.key] = max(most[job.key] ?? 0, limit) }
        }
        guard !most.isEmpty else { return [:] }
        let keys = Array(most.keys)
        let rows = try await pool.execute(
            QueueStatements.countLines,
            [.texts(keys.map(\.text)), .int32s(keys.map { Int32(most[$0] ?? 0) })],
            within: deadline
        )
        return Dictionary(uniqueKeysWithValues: zip(keys, try rows.map { try $0.decode(Int.self, at: 0) }))
    }

    /// Stores jobs some of which have idempotency keys; `wholly` throws ``BatchRefusal`` when any is refused.
    private func storeOnce(
        _ jobs: [NewJob],
        wholly: Bool = false
    ) async throws -> [Result<JobReceipt, SubmissionRefusal>] {
        try await pool.withTransaction { connection in
            var results = [Result<JobReceipt, SubmissionRefusal>?](repeating: nil, count: jobs.count)
            var ids = [Int64?](repeating: nil, count: jobs.count)
            let keyed = jobs.indices.filter { jobs[$0].idempotencyKey != nil }
            let reserved = try await connection.execute(
                QueueStatements.reserveIDs,
                QueueStatements.keyed(keyed.map { jobs[$0] }),
                within: deadline
            )
            for (index, row) in zip(keyed, reserved) {
                if try row.decode(Bool.self, at: 2) {
                    ids[index] = try row.decode(Int64.self, at: 1)
                } else {
                    results[index] = try .known(row, jobs[index])
                }
            }
            if wholly {
                for (index, result) in results.enumerated() {
                    if case .failure(let refusal) = result { throw BatchRefusal(index: index, refusal: refusal) }
                }
            }
            let new = jobs.indices.filter { results[$0] == nil }
            if !new.isEmpty {
                let batch = QueueStatements.Batch(jobs: new.map { jobs[$0] }, ids: new.map { ids[$0] })
                let receipts = try JobReceipt.read(
                    await connection.execute(
                        QueueStatements.enqueue.statement,
                        QueueStatements.enqueue.parameters(batch),
                        within: deadline
                    )
                )
                for (index, receipt) in zip(new, receipts) { results[index] = .success(receipt) }
            }
            return results.compactMap { $0 }
        }
    }
}

extension JobReceipt {
    /// Reads the rows of ``QueueStatements/enqueue``.
    static func read(_ rows: Rows) throws(PostgresError) -> [JobReceipt] {
        var receipts: [JobReceipt] = []
        for row in rows {
            receipts.append(
                JobReceipt(
                    id: JobID(try row.decode(Int64.self, at: 0)),
                    submittedAt: try row.decode(PostgresTimestamp.self, at: 1)
                )
            )
        }
        return receipts
    }
}

extension Result<JobReceipt, SubmissionRefusal> {
    /// Reads a row of ``QueueStatements/reserveIDs`` of a key that has a job.
    fileprivate static func known(_ row: Row, _ job: NewJob) throws(PostgresError) -> Self {
        let id = JobID(try row.decode(Int64.self, at: 1))
        guard try row.decode(Bool.self, at: 3) else {
            return .failure(.idempotencyKeyUsed(key: job.idempotencyKey ?? "", job: id))
        }
        return .success(
            JobReceipt(id: id, submittedAt: try row.decode(PostgresTimestamp.self, at: 4), isNew: false)
        )
    }
}
