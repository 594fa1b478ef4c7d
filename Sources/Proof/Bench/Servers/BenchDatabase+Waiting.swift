import Holdfast
import Postgres

/// Lines that wait for their time, made by SQL of their own: a million failed attempts would take minutes.
extension BenchDatabase {
    /// Makes so many keys with a job each that waits until tomorrow, as after a failed attempt.
    func makeWaiting(_ keys: Int) async throws {
        let chunk = 500_000
        for start in stride(from: 0, to: keys, by: chunk) {
            let end = min(keys, start + chunk) - 1
            _ = try await execute(Self.insertWaiting, [.int64(Int64(start)), .int64(Int64(end))])
        }
        try await tidy()
    }

    /// Makes lines ready, by their numbers.
    func makeReady(_ keys: [Int]) async throws { try await change(keys, by: Self.ready) }

    /// Takes lines from who has claimed them, and makes them wait again.
    func makeWait(_ keys: [Int]) async throws { try await change(keys, by: Self.wait) }

    private func change(_ keys: [Int], by statement: Statement) async throws {
        let names = keys.map { "waiting-\($0)" }
        _ = try await pool.execute(statement, [.texts(names)], within: .seconds(300))
    }

    private static let insertWaiting = """
        with n as (
            select nextval('holdfast.jobs_id_seq') as id, 'waiting-' || s as key from generate_series($1, $2) s),
        lines as (
            insert into holdfast.key_lines (lock_key, queue, kind, priority, due_at, head_place)
            select key, 'default', 'lockAndSet', 5, clock_timestamp() + interval '1 day', id from n)
        insert into holdfast.jobs
            (id, place, lock_key, kind, value, queue, priority, duration_ms, lock_ttl_ms, attempt, max_attempts)
        select id, id, key, 'lockAndSet', 'v', 'default', 5, 0, 20000, 1, 20
        from n
        """

    private static let ready = Statement(
        name: "bench_ready",
        sql: """
            update holdfast.key_lines
            set turn = nextval('holdfast.turn'), due_at = null, ready_at = clock_timestamp()
            where lock_key = any($1)
            """
    )

    private static let wait = Statement(
        name: "bench_wait",
        sql: """
            update holdfast.key_lines
            set held_by = null, turn = null, due_at = clock_timestamp() + interval '1 day'
            where lock_key = any($1)
            """
    )
}
