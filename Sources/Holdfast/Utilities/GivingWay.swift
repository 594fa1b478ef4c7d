import Postgres

/// Tries again what the database has chosen to give way to others, after a deadlock for example: each time nothing was done.
///
/// An operator's bulk `select holdfast.cancel(id) from …` locks lines in an order of its own, so a batch of submissions may
/// meet it in the middle.
/// - Throws: What `body` throws in the end, after five tries at most.
func givingWay<Value>(_ body: () async throws -> Value) async throws -> Value {
    for attempt in 1...4 {
        do {
            return try await body()
        } catch let error as PostgresError where error.gaveWay {
            try await Task.sleep(for: .milliseconds(10 * attempt) * Double.random(in: 0.5...1))
        }
    }
    return try await body()
}
