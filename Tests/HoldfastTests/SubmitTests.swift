import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

@Suite(.freshDatabase, .timeLimit(.minutes(3)))
struct SubmitTests {
    private var database: TestDatabase { FreshDatabase.current }
    private var submissions: Submissions {
        Submissions(store: database.store, wakeups: Wakeups(pool: database.pool, logger: .quiet))
    }

    private func job(_ key: String, _ value: String = "v", _ change: (inout NewJob) -> Void = { _ in }) throws -> NewJob
    {
        var job = try NewJob(key: key, value: value)
        change(&job)
        return job
    }

    private func promote() async throws -> WorkerRegistry.Promotion {
        try await WorkerRegistry(pool: database.pool).promote(
            linesSince: .negativeInfinity,
            jobsSince: .negativeInfinity,
            limit: 1000
        )
    }

    private var unplaced: Int {
        get async throws { try await database.int("select count(*) from holdfast.jobs where place is null") }
    }

    private func now() async throws -> PostgresTimestamp {
        try await database.column(PostgresTimestamp.self, "select clock_timestamp()")[0]
    }

    private func submitBySQL(_ arguments: String) async throws -> JobID {
        JobID(try await database.column(Int64.self, "select holdfast.submit(\(arguments))")[0])
    }

    @Test func `a job that the database cannot take fails alone, whoever shares its statement`() async throws {
        let submissions = submissions
        let outcomes = try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
            for number in 0..<40 {
                let new = try job("k\(number % 4)", "\(number)") { job in
                    // No reader lets such metadata through.
                    if number % 16 == 9 { job.metadata = "{" }
                }
                group.addTask { (number, (try? await submissions.submit(new)) != nil) }
            }
            return try await group.reduce(into: [Int: Bool]()) { $0[$1.0] = $1.1 }
        }
        #expect(outcomes.filter { !$0.value }.keys.sorted() == [9, 25])
        #expect(try await database.int("select count(*) from holdfast.jobs") == 38)
    }

    @Test
    func `every field of a submission is found again, and reaches the worker`() async throws {
        let runAt = try await now().advanced(by: .seconds(-5))
        let new = try job("k", "text") { job in
            job.kind = "mail"
            job.queue = "other"
            job.priority = 0
            job.runAt = runAt
            job.maxAttempts = 3
            job.timeout = .seconds(7)
            job.metadata = #"{"customer": 42}"#
            job.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        }
        let receipt = try await submissions.submit(new)
        let found = try #require(try await database.store.find(receipt.id))
        #expect(found.kind == "mail" && found.queue == "other" && found.priority == 0 && found.maxAttempts == 3)
        #expect(found.timeout == .seconds(7) && found.runAt == runAt && found.metadata == new.metadata)
        #expect(found.traceparent == new.traceparent)
        #expect(found.state == .queued)
        let worker = try await database.makeWorker()
        let claims = try await database.claim(for: worker, queues: ["default", "other"], kinds: ["mail"])
        let claimed = try #require(claims.first?.jobs.first)
        #expect(claimed.kind == "mail" && claimed.timeout == .seconds(7) && claimed.metadata == new.metadata)
        #expect(claimed.traceparent == new.traceparent && claimed.maxAttempts == 3 && !claimed.isCancelled)
    }

    @Test
    func `a scheduled job opens no line until it is due, and joins the end of its line then`() async throws {
        let later = try await now().advanced(by: .seconds(3600))
        let scheduled = try await submissions.submit(try job("k", "scheduled") { $0.runAt = later })
        #expect(try await database.store.find(scheduled.id)?.state == .scheduled)
        #expect(try await database.lines() == [])
        #expect(try await promote().isEmpty)
        let direct = try await database.enqueue("k")[0]
        try await database.run("update holdfast.jobs set run_at = clock_timestamp() where place is null")
        #expect(try await promote().queues == ["default"])
        #expect(try await database.store.find(scheduled.id)?.state == .queued)
        let claims = try await database.claim(for: database.makeWorker())
        #expect(claims.flatMap(\.jobs).map(\.id) == [direct.id, scheduled.id])
        let result = try await database.store.settle(claims.map(Settlement.allSucceeded))
        #expect(result == [.settled(hasMore: false)])
        #expect(try await database.isTrue("select not exists (select from holdfast.doctor())"))
    }

    @Test
    func `what is submitted from SQL is there when its transaction commits, and runs in order`() async throws {
        let aborted = try await postgresError {
            try await database.pool.withTransaction { connection in
                try await connection.executeScript("select holdfast.submit('k', 'never'); select 1 / 0")
            }
        }
        #expect(aborted != nil)
        let ids = try await database.pool.withTransaction { connection in
            try await (0..<3).asyncMap { number in
                let sql = "select holdfast.submit(key => 'k', value => 'v\(number)', duration_ms => 0)"
                return try await connection.execute(Statement(name: "submit", sql: sql, isPrepared: false))[0]
                    .decode(Int64.self, at: 0)
            }
        }
        #expect(try await promote().queues == ["default"])
        #expect(try await unplaced == 0)
        let claims = try await database.claim(for: database.makeWorker())
        #expect(claims.flatMap(\.jobs).map(\.id.rawValue) == ids)
        #expect(claims.flatMap(\.jobs).map(\.value) == ["v0", "v1", "v2"])
    }

    @Test
    func `what was submitted by SQL, or is due, runs before what is submitted otherwise after that`() async throws {
        _ = try await submitBySQL("'k', 'first'")
        let later = try await now().advanced(by: .seconds(3600))
        _ = try await submissions.submit(try job("other", "due") { $0.runAt = later })
        try await database.run("update holdfast.jobs set run_at = clock_timestamp() where lock_key = 'other'")
        _ = try await submissions.submit(try job("k", "second"))
        _ = try await submissions.submit(try job("other", "after"))
        _ = try await submitBySQL("'k', 'third'")
        _ = try await submissions.submitWhole([try job("k", "fourth"), try job("new", "alone")])
        let claims = try await database.claim(for: database.makeWorker()).sorted { $0.key < $1.key }
        #expect(
            claims.map { $0.jobs.map(\.value) } == [
                ["first", "second", "third", "fourth"], ["alone"], ["due", "after"],
            ]
        )
        #expect(try await unplaced == 0)
        #expect(try await database.isTrue("select not exists (select from holdfast.doctor())"))
    }

    @Test
    func `a line takes after the head that joins it, whatever has opened it`() async throws {
        _ = try await submitBySQL("'k', 'first', kind => 'mail', queue => 'other', priority => 2")
        _ = try await submissions.submit(try job("k", "second") { $0.priority = 7 })
        let worker = try await database.makeWorker()
        #expect(try await database.claim(for: worker).isEmpty)
        #expect(try await database.int("select priority from holdfast.key_lines") == 2)
        let claim = try #require(try await database.claim(for: worker, queues: ["other"], kinds: ["mail"]).first)
        #expect(claim.jobs.map(\.value) == ["first"])
        #expect(try await database.store.settle([.allSucceeded(claim)]) == [.settled(hasMore: true)])
        #expect(try await database.int("select priority from holdfast.key_lines") == 7)
        #expect(try await database.claim(for: worker).flatMap(\.jobs).map(\.value) == ["second"])
    }

    @Test
    func `two that let jobs join at once do not change their order`() async throws {
        _ = try await submitBySQL("'k', 'v'")
        try await database.pool.withTransaction { connection in
            try await connection.executeScript("select holdfast.promote('-infinity', '-infinity', 0)")
            #expect(try await promote().isEmpty)
        }
        #expect(try await promote().queues == ["default"])
        #expect(try await unplaced == 0)
    }

    @Test
    func `a caller's open transaction keeps nobody's line locked`() async throws {
        try await database.pool.withTransaction { connection in
            try await connection.executeScript("select holdfast.submit('k', 'open')")
            try await database.enqueue("k")
            let claims = try await database.claim(for: database.makeWorker())
            #expect(try await database.store.settle(claims.map(Settlement.allSucceeded)) == [.settled(hasMore: false)])
        }
    }

    @Test(arguments: [
        ("key => ''", "key"), ("key => 'locks:k'", "key"), ("key => 'holdfast:k'", "key"),
        ("key => repeat('x', 513)", "key"), ("key => null", "key"), ("value => repeat('x', 1048577)", "value"),
        ("kind => ''", "kind"), ("queue => repeat('x', 129)", "queue"), ("priority => 10", "priority"),
        ("max_attempts => 0", "max_attempts"), ("lock_ttl_ms => 999", "lock_ttl_ms"),
        ("lock_ttl_ms => 60001", "lock_ttl_ms"), ("duration_ms => -1", "duration_ms"),
        ("timeout_ms => 0", "timeout_ms"), ("metadata => to_jsonb(repeat('x', 16384))", "metadata"),
        ("idempotency_key => ''", "idempotency_key"), ("run_at => '-infinity'", "run_at"),
        ("run_at => 'infinity'", "run_at"), ("run_at => '294276-01-01 00:00Z'", "run_at"),
        ("run_at => '0001-01-01 00:00Z BC'", "run_at"),
    ])
    func `SQL's submit names the argument that is out of bounds`(argument: String, name: String) async throws {
        let key = name == "key" ? "" : "key => 'k', "
        let value = name == "value" ? "" : ", value => 'v'"
        let error = try await postgresError { _ = try await submitBySQL(key + argument + value) }
        #expect(error?.sqlState == "22023")
        #expect(error?.message.hasPrefix("\(name) must") == true)
    }

    @Test
    func `both ways to submit have the same bounds`() async throws {
        let source = try await database.column(
            String.self,
            "select prosrc from pg_proc where oid = 'holdfast.submit'::regproc"
        )[0]
        for (field, range) in [
            ("priority", NewJob.priorityRange), ("max_attempts", NewJob.maxAttemptsRange),
            ("lock_ttl_ms", NewJob.lockTTLRange), ("duration_ms", NewJob.durationRange),
            ("timeout_ms", NewJob.timeoutRange),
        ] {
            #expect(source.contains("\(field) not between \(range.lowerBound) and \(range.upperBound) "), "\(field)")
        }
        #expect(source.contains("octet_length(value) > \(NewJob.maximumValueBytes) "))
        #expect(source.contains("octet_length(metadata::text) > \(NewJob.maximumMetadataBytes) "))
        #expect(source.contains("octet_length(kind) not between 1 and \(NewJob.maximumNameBytes) "))
        #expect(
            source.contains("octet_length(idempotency_key) not between 1 and \(NewJob.maximumIdempotencyKeyBytes) ")
        )
    }

    @Test
    func `the same idempotency key and content is the same job, however it comes`() async throws {
        let new = try job("k") { $0.idempotencyKey = "once" }
        let receipts = try await withThrowingTaskGroup(of: JobReceipt.self) { group in
            // Two intakes, each with batches of its own.
            let intakes = [submissions, submissions]
            for number in 0..<40 { group.addTask { try await intakes[number % 2].submit(new) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(receipts.count == 40 && receipts.count(where: \.isNew) == 1)
        #expect(Set(receipts.map(\.id)).count == 1)
        #expect(try await submitBySQL("key => 'k', value => 'v', idempotency_key => 'once'") == receipts[0].id)
        #expect(try await database.int("select count(*) from holdfast.jobs") == 1)
        let found = try #require(try await database.store.find(receipts[0].id))
        #expect(found.state == .queued)
        #expect(try await database.claim(for: database.makeWorker()).flatMap(\.jobs).map(\.id) == [receipts[0].id])
    }

    @Test
    func `an idempotency key used for something else is refused, until it has expired`() async throws {
        let first = try await submissions.submit(try job("k") { $0.idempotencyKey = "once" })
        let other = try job("k", "other") { $0.idempotencyKey = "once" }
        await #expect(throws: SubmissionRefusal.idempotencyKeyUsed(key: "once", job: first.id)) {
            try await submissions.submit(other)
        }
        let error = try await postgresError {
            _ = try await submitBySQL("key => 'k', value => 'other', idempotency_key => 'once'")
        }
        #expect(error?.sqlState == "23505")
        #expect(error?.message.contains("job \(first.id)") == true)
        try await database.run("update holdfast.idempotency_keys set expires_at = clock_timestamp()")
        let second = try await submissions.submit(other)
        #expect(second.isNew && second.id != first.id)
        try await database.run("update holdfast.idempotency_keys set expires_at = clock_timestamp()")
        #expect(try await !WorkerRegistry(pool: database.pool).expireKeys())
        #expect(try await database.int("select count(*) from holdfast.idempotency_keys") == 0)
    }

    @Test
    func `a full queue refuses, and takes jobs again when some have finished`() async throws {
        try await QueueOperations(pool: database.pool).limit("default", jobs: 3, line: nil)
        let submissions = submissions
        for number in 0..<3 { _ = try await submissions.submit(try job("k\(number)")) }
        await #expect(throws: SubmissionRefusal.queueFull(queue: "default", limit: 3)) {
            try await submissions.submit(try job("k3"))
        }
        _ = try await submissions.submit(try job("k3") { $0.queue = "other" })
        let error = try await postgresError { _ = try await submitBySQL("key => 'k', value => 'v'") }
        #expect(error?.sqlState == "54000")
        let claims = try await database.claim(for: database.makeWorker(), limit: 1)
        _ = try await database.store.settle(claims.map(Settlement.allSucceeded))
        _ = try await submissions.submit(try job("k3"))
        await #expect(throws: SubmissionRefusal.self) { try await self.submissions.submit(try job("k4")) }
        // Limits that nobody can mean are refused where they are set, and not with every submission.
        for (limits, field) in [("2147483647, null", "job_limit"), ("null, -1", "line_limit")] {
            let error = try await postgresError {
                try await database.run("select holdfast.limit_queue('default', \(limits))")
            }
            #expect(error?.sqlState == "22023" && error?.message.contains(field) == true)
        }
    }

    @Test
    func `a limited queue has as many jobs as were stored and not finished, in whatever way they came and went`()
        async throws
    {
        let pool = database.pool
        let operations = QueueOperations(pool: pool)
        // These come before anybody counts, and this one while it is counted.
        _ = try await database.enqueue((0..<20).map { "before\($0)" })
        try await pool.withConnection { connection in
            try await connection.executeScript("begin; select holdfast.submit('open', 'v')")
            try await operations.limit("default", jobs: 1000, line: nil)
            #expect(try await database.isTrue("select holdfast.queue_depth('default') is null"))
            try await connection.executeScript("commit")
        }
        let count = "select count(*) from holdfast.jobs where queue = 'default'"
        func expectDepth(_ comment: Comment) async throws {
            let depth = try await database.int("select holdfast.queue_depth('default')")
            #expect(try await database.int(count) == depth, comment)
        }
        #expect(try await database.int("select holdfast.count_queues()") == 0)
        try await expectDepth("counted")
        let worker = try await database.makeWorker()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask { [submissions] in
                    for key in 0..<10 { _ = try await submissions.submit(try job("k\(number)-\(key)")) }
                }
            }
            group.addTask {
                for _ in 0..<5 {
                    let claims = try await database.claim(for: worker, limit: 3)
                    _ = try await database.store.settle(claims.map(Settlement.allSucceeded))
                    _ = try await database.run("select holdfast.queue_limits()")
                }
            }
            try await group.waitForAll()
        }
        try await expectDepth("stored and finished")
        let last = try await database.int("select max(id) from holdfast.jobs")
        _ = try await operations.cancel(JobID(Int64(last)))
        try await expectDepth("cancelled")
        try await operations.retry(JobID(Int64(last)))
        try await expectDepth("run again")
        _ = try await submitBySQL("key => 'k', value => 'v'")
        _ = try await postgresError { try await database.run("select holdfast.submit('k', 'v'), 1 / (random() * 0)") }
        try await expectDepth("submitted by SQL")
        _ = try await database.run("select holdfast.queue_limits()")
        try await expectDepth("brought up to date")
        #expect(try await database.int("select count(*) from holdfast.queue_changes") == 0)
        // A queue without a limit costs nothing.
        _ = try await submissions.submit(try job("k") { $0.queue = "other" })
        #expect(try await database.int("select count(*) from holdfast.queue_changes") == 0)
    }

    @Test
    func `a repeat of what is stored is answered, however full its queue is`() async throws {
        try await QueueOperations(pool: database.pool).limit("default", jobs: 1, line: nil)
        let submissions = submissions
        let new = try job("k") { $0.idempotencyKey = "once" }
        let first = try await submissions.submit(new)
        let again = try await submissions.submit(new)
        #expect(again.id == first.id && !again.isNew)
        let whole = try await submissions.submitWhole([new])
        #expect(whole.map(\.id) == [first.id])
        await #expect(throws: SubmissionRefusal.queueFull(queue: "default", limit: 1)) {
            try await submissions.submit(try job("k") { $0.idempotencyKey = "another" })
        }
        await #expect(throws: SubmissionRefusal.idempotencyKeyUsed(key: "once", job: first.id)) {
            try await submissions.submit(try job("k", "other") { $0.idempotencyKey = "once" })
        }
    }

    @Test
    func `a full line refuses, and leaves the other keys alone`() async throws {
        try await database.run("select holdfast.limit_queue('default', null, 2)")
        let submissions = submissions
        for _ in 0..<2 { _ = try await submissions.submit(try job("hot")) }
        await #expect(throws: SubmissionRefusal.lineFull(key: try LockKey("hot"), limit: 2)) {
            try await submissions.submit(try job("hot"))
        }
        _ = try await submissions.submit(try job("cold"))
        let claims = try await database.claim(for: database.makeWorker())
        _ = try await database.store.settle(claims.map(Settlement.allSucceeded))
        _ = try await submissions.submit(try job("hot"))
    }
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
