import Foundation
import Holdfast
import Postgres
import Redlock
import TestSupport
import Testing

/// How many rows each question of the API and the commands reads, and how many entries of the lock table it takes.
@Suite(.freshDatabase, .serialized, .timeLimit(.minutes(30)))
struct ViewPlanTests {
    /// What a page of 100 may read of a table: itself, and as much of others.
    fileprivate static let mostRows = 1500
    /// The server has room for 64 for each connection that it allows: thirty such statements fit at one time.
    private static let mostLocks = 200
    /// A million too, if the environment says so: to fill the tables takes a minute or two.
    private static let counts =
        [0, 10_000] + (ProcessInfo.processInfo.environment["HOLDFAST_TEST_MANY_ROWS"] == nil ? [] : [1_000_000])

    private var database: TestDatabase { FreshDatabase.current }

    private struct Question {
        let name: String
        /// How many rows of a table it may read.
        var mostRows = ViewPlanTests.mostRows
        let ask: (PostgresPool) async throws -> Void
    }

    /// So many jobs that wait, as many that have finished, and twice as many events of 400 days; a tenth as many keys, of
    /// which one has half of all jobs.
    private func fill(_ count: Int) async throws {
        try await database.pool.withConnection { connection in
            try await connection.executeScript(
                """
                select holdfast.make_partitions(7, 400);
                truncate holdfast.drawn_numbers;
                insert into holdfast.drawn_numbers (at, job_id, event_id)
                select now() - n * interval '1 day', \(count) - \(count) * n / 400, 2 * (\(count) - \(count) * n / 400)
                from generate_series(1, 399) n;
                insert into holdfast.finished_jobs (id, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms,
                    attempt, max_attempts, state, submitted_at, started_at, finished_at)
                select n, case when n % 2 = 0 then 'hot' else 'key' || n % greatest(\(count) / 10, 1) end, 'k', 'v', 'q' || n % 200,
                       5, 0, 20000, 1, 20, case when n % 100 = 1 then 'failed' else 'succeeded' end, t.at, t.at, t.at
                from generate_series(1, \(count)) n
                cross join lateral (select now() - (\(count) - n) * interval '400 days' / \(count) as at) t;
                insert into holdfast.lock_history (at, event, lock_key, job_id, fence, held_us, validity_us)
                select now() - (\(count) - n) * interval '400 days' / \(count),
                       case e when 0 then 'acquired'::holdfast.lock_event else 'released' end,
                       case when n % 2 = 0 then 'hot' else 'key' || n % greatest(\(count) / 10, 1) end, n, n, 0, 1000
                from generate_series(1, \(count)) n, generate_series(0, 1) e
                order by n, e;
                insert into holdfast.jobs (id, place, lock_key, kind, value, queue, priority, run_at, duration_ms, lock_ttl_ms,
                    attempt, max_attempts)
                select \(count) + n, case when n % 100 = 1 then \(2 * count) + n when n % 100 <> 0 then \(count) + n end,
                       case when n % 2 = 0 then 'hot' else 'key' || n % greatest(\(count) / 10, 1) end, 'k', 'v', 'q' || n % 200,
                       5, case when n % 100 = 0 then now() + interval '1 hour' end, 0, 20000,
                       case when n % 100 = 1 then 1 else 0 end, 20
                from generate_series(1, \(count)) n;
                insert into holdfast.key_lines (lock_key, queue, kind, priority, turn, head_place)
                select j.lock_key, min(j.queue), 'k', 5, nextval('holdfast.turn'), min(j.place)
                from holdfast.jobs j
                where j.place is not null
                group by j.lock_key;
                select setval('holdfast.jobs_id_seq', \(4 * count + 1));
                """,
                within: .seconds(600)
            )
            for table in ["jobs", "key_lines", "finished_jobs", "lock_history"] {
                try await connection.executeScript("vacuum analyze holdfast.\(table)", within: .seconds(600))
            }
        }
    }

    /// One that runs, in a line of its own.
    private func run() async throws -> JobID {
        let worker = try await database.makeWorker()
        let job = try await database.enqueue("runs", "runs")[0].id
        let claim = try #require(try await database.claim(for: worker, limit: 1).first)
        try await database.begin(claim.jobs[0], of: claim)
        return job
    }

    private func questions(_ count: Int, running: JobID) -> [Question] {
        func list(_ name: String, _ change: @escaping (inout JobFilter) -> Void) -> Question {
            Question(name: "list \(name)") { pool in
                var filter = JobFilter()
                change(&filter)
                _ = try await JobStore(pool: pool).list(filter)
            }
        }
        func view(_ name: String, _ ask: @escaping (QueueViews) async throws -> Void) -> Question {
            Question(name: name) { try await ask(QueueViews(pool: $0)) }
        }
        func sql(_ text: String) -> Question {
            Question(name: text) { pool in
                _ = try await pool.execute(Statement(name: "question", sql: text, isPrepared: false))
            }
        }
        let old = JobID(Int64(count / 2 + 1))
        let waits = JobID(Int64(count + 5))
        let late = PostgresTimestamp(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))
        let early = late.advanced(by: .seconds(-7200))
        let states: [Job.State] = [.scheduled, .queued, .running, .retrying, .succeeded, .failed, .cancelled]
        let finds = [("waits", waits), ("runs", running), ("has finished", old), ("is not there", JobID(.max))]
        var questions = [list("all") { _ in }, list("of two states") { $0.states = [.running, .failed] }]
        for state in states { questions.append(list("\(state)") { $0.states = [state] }) }
        for key in ["hot", "key7", "of nobody"] {
            questions += [
                list("of \(key)") { $0.key = key },
                list("of \(key), from below") { filter in
                    filter.key = key
                    filter.before = waits
                },
                list("of \(key) that run") { filter in
                    filter.key = key
                    filter.states = [.running]
                },
                view("events of \(key)") { _ = try await $0.history(of: key, before: nil, limit: 100) },
                view("waits of \(key)") { _ = try await $0.waits(since: early, until: late, key: key, limit: 100) },
                // It counts the line, up to 100,000.
                Question(name: "line of \(key)", mostRows: 100_000) {
                    _ = try await QueueViews(pool: $0).line(of: key)
                },
                sql("select * from holdfast.who_held('\(key)', now() - interval '1 hour')"),
            ]
            questions.append(
                Question(name: "last events of \(key)") { pool in
                    var timeline = KeyTimeline(of: LockKey(stored: key), pool: pool, isJSON: false)
                    _ = try await timeline.last(100)
                }
            )
        }
        for (name, job) in finds {
            questions.append(Question(name: "find one that \(name)") { try await Self.show(job, $0) })
        }
        questions += [
            view("events of a span") {
                _ = try await $0.history(since: early, until: late, key: nil, before: nil, limit: 100)
            },
            view("waits") { _ = try await $0.waits(since: early, until: late, key: nil, limit: 100) },
            view("holds") { _ = try await $0.locks(after: nil, limit: 100) },
            view("workers") { _ = try await $0.workers() },
            Question(name: "outcomes") { _ = try await JobStore(pool: $0).outcomes(of: [JobID(Int64(max(count, 1)))]) },
            Question(name: "unfinished of a key") { _ = try await JobStore(pool: $0).unfinished(in: nil, of: "key7") },
            Question(name: "finished of a key") {
                _ = try await JobStore(pool: $0).finished(since: early, in: nil, of: "key7")
            },
        ]
        guard count > 0 else { return questions }
        questions.append(
            Question(name: "events after a number") { pool in
                let reader = EventReader(pool: pool)
                let last = try await reader.last()
                _ = try await reader.events(after: last - 100, limit: 100)
                _ = try await reader.events(after: last - 100, key: "key7", limit: 100)
            }
        )
        let newest = JobID(Int64(count))
        questions.append(
            Question(name: "cancel one that has finished") { _ = try await QueueOperations(pool: $0).cancel(newest) }
        )
        questions.append(
            Question(name: "why, of one that has finished") { _ = try await QueueViews(pool: $0).causes(of: newest) }
        )
        return questions
    }

    private static func show(_ id: JobID, _ pool: PostgresPool) async throws {
        guard let job = try await JobStore(pool: pool).find(id) else { return }
        _ = try await QueueViews(pool: pool).timeline(of: job)
        _ = try await QueueViews(pool: pool).causes(of: id)
        let timeline = Statement(name: "timeline", sql: "select * from holdfast.job_timeline($1)")
        _ = try await pool.execute(timeline, [.int64(id.rawValue)])
    }

    @Test(arguments: ViewPlanTests.counts)
    func `each question reads about a page, and takes few locks, however much there is`(count: Int) async throws {
        let plans = Plans(database: database)
        guard try await plans.areShown else { return }
        try await fill(count)
        let running = try await run()
        var indexes: [String: Int] = [:]
        let counted =
            "select c.relname, count(*)::text from pg_index i join pg_class c on c.oid = i.indrelid group by 1"
        for row in try await database.run(counted) {
            indexes[try row.decode(String.self, at: 0)] = Int(try row.decode(String.self, at: 1))
        }
        // As an intake's sessions have it, and as a command's.
        for settings in [["enable_seqscan=off", "jit=off"], ["jit=off"]] {
            for question in questions(count, running: running) {
                let scans = try await plans.scans(settings) { try await question.ask($0) }
                for scan in scans where scan.rows > question.mostRows { Issue.record("\(question.name): \(scan)") }
                for scans in Dictionary(grouping: scans, by: \.plan).values {
                    let locks = Set(scans.map(\.table)).reduce(0) { $0 + 1 + (indexes[$1] ?? 0) }
                    if locks > Self.mostLocks {
                        Issue.record("\(question.name): \(locks) locks in: \(scans[0].statement)")
                    }
                }
            }
        }
    }
}
