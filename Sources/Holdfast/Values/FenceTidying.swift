package import Postgres
package import Redis
import Redlock

/// Removes fences from the value node that no unfinished job needs: each key that was ever written to has one.
///
/// What a fence turns away is the write of a worker that was frozen while its job ran elsewhere. So one is kept while its
/// key has an unfinished job, and for a while after it was last written or read.
package struct FenceTidying: Sendable {
    /// What was found so far.
    package struct Count: Sendable, Equatable {
        /// Fences that were looked at.
        package var all = 0
        /// Those that were removed; on a dry run, those that would be.
        package var removed = 0
        /// Those that are higher than any that the database has drawn, and stay.
        ///
        /// They are of another database, or this one was restored from a backup.
        package var unknown = 0

        package init() {}
    }

    /// How many are looked at in one go.
    private static let portion = 500
    private static let deadline: Duration = .seconds(10)

    // The idle time first: to read a value begins it anew. Numbers of one length compare like their texts.
    private static let script = RedisScript(
        """
        local removed, unknown = 0, 0
        for i = 1, #KEYS do
          local idle = redis.call('object', 'idletime', KEYS[i])
          if idle and idle >= tonumber(ARGV[1]) and redis.call('type', KEYS[i]).ok == 'string' then
            if ARGV[3] == 'dry' then
              removed = removed + 1
            else
              local fence = redis.call('get', KEYS[i])
              if #fence < #ARGV[2] or (#fence == #ARGV[2] and fence <= ARGV[2]) then
                removed = removed + redis.call('del', KEYS[i])
              else
                unknown = unknown + 1
              end
            end
          end
        end
        return {removed, unknown}
        """
    )
    /// Of these keys those without an unfinished job; and the highest fence that was drawn before.
    private static let unneeded = Statement(
        name: "unneeded_fences",
        sql: """
            select k.key, (select last_value from holdfast.fence) as highest
            from unnest($1::text[]) as k(key)
            where not exists (select from holdfast.jobs j where j.lock_key = k.key and j.place is not null)
                and not exists (select from holdfast.jobs j where j.lock_key = k.key and j.place is null)
            """
    )

    private let node: RedisNode
    private let pool: PostgresPool

    /// - Parameters:
    ///   - node: The value node; somebody else keeps it connected.
    ///   - pool: The database whose jobs write to it.
    package init(node: RedisNode, pool: PostgresPool) {
        self.node = node
        self.pool = pool
    }

    /// Goes through all fences, some hundred at a time.
    ///
    /// - Parameters:
    ///   - idle: How long one must not have been written or read.
    ///   - isDry: Whether nothing is removed.
    ///   - progress: Told after each portion.
    /// - Returns: What was found.
    /// - Throws: `PostgresError`, or `RedisError`.
    package func run(
        idleFor idle: Duration,
        isDry: Bool,
        progress: (Count) -> Void = { _ in }
    ) async throws -> Count {
        var count = Count()
        var cursor = "0"
        repeat {
            let pattern = FencedWrite.fencePrefix + "*"
            let reply = try await node.send(
                RedisCommand("SCAN", cursor, "MATCH", pattern, "COUNT", Self.portion),
                within: Self.deadline
            )
            guard let parts = reply.elements, parts.count == 2, let next = parts[0].string,
                let names = parts[1].elements
            else { throw refusal(reply, of: "SCAN") }
            cursor = next
            // A name that is no text is nobody's fence.
            let keys = names.compactMap(\.string).map { String($0.dropFirst(FencedWrite.fencePrefix.count)) }
                .filter { !$0.utf8.contains(0) }
            count.all += names.count
            try await tidy(keys, idle, isDry, &count)
            progress(count)
        } while cursor != "0"
        return count
    }

    private func tidy(_ keys: [String], _ idle: Duration, _ isDry: Bool, _ count: inout Count) async throws {
        guard !keys.isEmpty else { return }
        let rows = try await pool.execute(Self.unneeded, [.texts(keys)], within: Self.deadline)
        guard rows.count > 0 else { return }
        let names = try rows.map { FencedWrite.fencePrefix + (try $0.decode(String.self, at: 0)) }
        let highest = try rows[0].decode(Int64.self, at: 1)
        let reply = try await node.evaluate(
            Self.script,
            keys: names,
            arguments: [Int(idle.components.seconds), String(highest), isDry ? "dry" : "all"],
            within: Self.deadline
        ).get()
        guard let numbers = reply.elements, numbers.count == 2 else {
            throw refusal(reply, of: "the script that tidies")
        }
        count.removed += Int(numbers[0].int ?? 0)
        count.unknown += Int(numbers[1].int ?? 0)
    }

    private func refusal(_ reply: RedisReply, of what: String) -> RedisError {
        let reason = reply.error.map(\.message) ?? "it gives no answer that is understood"
        return RedisError(.reply, endpoint: node.endpoint.description, message: "\(what): \(reason)")
    }
}
