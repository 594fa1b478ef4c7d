import Postgres
import Redlock

extension JobStore {
    /// Records what became of claims of one worker, in one transaction.
    ///
    /// - Parameters:
    ///   - settlements: At most one for each claim.
    ///   - inDoubt: Whether they may have been committed already, by a call that got no answer.
    /// - Returns: A result for each settlement, in the same order.
    /// - Throws: `PostgresError`; nothing is recorded then, unless it was the commit that got no answer.
    package func settle(_ settlements: [Settlement], inDoubt: Bool = false) async throws -> [SettlementResult] {
        guard !settlements.isEmpty else { return [] }
        guard !inDoubt, settlements.allSatisfy({ $0.leavesLine && !$0.isContested }) else {
            return try await settleInTransaction(settlements, inDoubt: inDoubt)
        }
        return try await pool.withConnection { try await settleParts(settlements, on: $0) }
    }

    /// - Returns: `busy` for a stale settlement too.
    private func settleParts(
        _ settlements: [Settlement],
        on connection: isolated PostgresConnection
    ) async throws -> [SettlementResult] {
        let clock = try await connection.clock(within: deadline)
        let end = clock.time(at: .now.advanced(by: deadline))
        let events = settlements.flatMap { $0.events + [$0.acquired].compactMap(\.self) }
        let rows = try await connection.execute(
            SettleStatements.parts,
            lines(settlements) + finished(settlements) + HistoryStatements.parameters(events, clock: clock)
                + [.timestamp(end)],
            within: deadline
        )
        var results = [SettlementResult](repeating: .busy, count: settlements.count)
        for row in rows {
            let index = try row.decode(Int.self, at: 0) - 1
            let start = try row.decodeIfPresent(PostgresTimestamp.self, at: 1)
            results[index] =
                if let start { .acquired(at: start) } else {
                    settlements[index].acquired == nil ? .settled(hasMore: false) : .refused
                }
        }
        return results
    }

    private func settleInTransaction(_ settlements: [Settlement], inDoubt: Bool) async throws -> [SettlementResult] {
        let lines = lines(settlements)
        let worker = settlements[0].claim.worker.rawValue
        return try await pool.withTransaction(
            startingWith: [BoundStatement(SettleStatements.lock, lines)],
            within: deadline
        ) { connection, first in
            var results = [SettlementResult](repeating: .busy, count: settlements.count)
            let locked = first[0][0]
            // The clock was read before now: times that are counted back from here are never after the true ones.
            let clock = ServerClock(reading: try locked.decode(PostgresTimestamp.self, at: 1), readBy: .now)
            for place in try locked.decode([Int64].self, at: 0) {
                results[Int(place) - 1] = .settled(hasMore: false)
            }
            if results.contains(.busy) {
                for row in try await connection.execute(SettleStatements.findStale, lines, within: deadline) {
                    let index = try row.decode(Int.self, at: 0) - 1
                    if results[index] == .busy { results[index] = .stale }
                }
            }
            var known: Set<Int> = []
            if inDoubt {
                // What was committed has freed its line, or was a part that left it held.
                for (index, wasRefused) in try await recorded(settlements, before: clock.reading, connection)
                where results[index] == .stale || !settlements[index].freesLine {
                    results[index] = wasRefused ? .stale : .settled(hasMore: true)
                    known.insert(index)
                }
            }
            let owned = settlements.indices.filter { results[$0] == .settled(hasMore: false) && !known.contains($0) }
            let stale = settlements.indices.filter { results[$0] == .stale && !known.contains($0) }
            let events =
                owned.flatMap { settlements[$0].events } + stale.flatMap { settlements[$0].eventsWhenRefused }
            // The line of a part stays as it is: its head is a lower bound, and each change leaves a dead row behind.
            let changed = owned.filter { settlements[$0].freesLine || settlements[$0].claim.waited != nil }
            var last = moves(owned.map { settlements[$0] }, worker)
            if !events.isEmpty {
                last.append(
                    BoundStatement(
                        HistoryStatements.append,
                        HistoryStatements.parameters(events, clock: clock)
                    )
                )
            }
            let acquired = owned.filter { settlements[$0].acquired != nil }
            if !acquired.isEmpty {
                let events = acquired.compactMap { settlements[$0].acquired }
                last.append(
                    BoundStatement(
                        HistoryStatements.writeAhead,
                        HistoryStatements.parameters(events)
                    )
                )
            }
            if !changed.isEmpty { last.append(moveOn(changed.map { settlements[$0] }, worker)) }
            var rows = try await connection.commit(after: last, within: deadline)
            if !changed.isEmpty {
                // A row for each line that was freed with jobs left.
                for place in try rows.removeLast().compactMap({ try $0.decodeIfPresent(Int.self, at: 0) }) {
                    results[changed[place - 1]] = .settled(hasMore: true)
                }
            }
            if !acquired.isEmpty {
                let starts = try HistoryStatements.starts(rows.removeLast())
                for index in acquired {
                    let start = settlements[index].acquired.flatMap { starts[$0.value.fence] }
                    results[index] = start.map { .acquired(at: $0) } ?? .refused
                }
            }
            return results
        }
    }

    /// - Returns: For each settlement that is recorded, whether it was refused.
    private func recorded(
        _ settlements: [Settlement],
        before now: PostgresTimestamp,
        _ connection: PostgresConnection
    ) async throws -> [Int: Bool] {
        let attempts = settlements.enumerated().flatMap { index, settlement in
            settlement.events.map { (index: index, event: $0) }
        }
        let rows = try await connection.execute(
            SettleStatements.findRecorded,
            [
                .int64s(attempts.map(\.event.value.job.rawValue)), .int64s(attempts.map(\.event.value.fence.rawValue)),
                .timestamp(now.advanced(by: .seconds(-172_800))),
            ],
            within: deadline
        )
        var refused: [Int: Bool] = [:]
        for row in rows {
            let index = attempts[try row.decode(Int.self, at: 0) - 1].index
            refused[index] = try row.decode(Bool.self, at: 1) || refused[index] == true
        }
        return refused
    }

    /// The claims' worker and lines.
    private func lines(_ settlements: [Settlement]) -> [Parameter] {
        [
            .int64(settlements[0].claim.worker.rawValue), .texts(settlements.map(\.claim.key.text)),
            .int64s(settlements.map(\.claim.fence.rawValue)),
        ]
    }

    /// The jobs that are over.
    private func finished(_ settlements: [Settlement]) -> [Parameter] {
        let finished = settlements.flatMap(\.finished)
        let claimFences = settlements.flatMap { settlement in
            settlement.finished.map { _ in settlement.claim.fence.rawValue }
        }
        return [
            .int64s(finished.map(\.job.id.rawValue)), .texts(finished.map(\.state.rawValue)),
            .optionalTexts(finished.map { $0.error?.bounded }), .int64s(finished.map(\.job.fence.rawValue)),
            .int32s(finished.map { Int32($0.job.attempt) }), .optionalTimestamps(finished.map(\.startedAt)),
            .int64s(claimFences),
        ]
    }

    private func moves(_ settlements: [Settlement], _ worker: Int64) -> [BoundStatement] {
        var moves: [BoundStatement] = []
        if settlements.contains(where: { !$0.finished.isEmpty }) {
            moves.append(BoundStatement(SettleStatements.finish, [.int64(worker)] + finished(settlements)))
        }
        let retried = settlements.compactMap(\.retried)
        if !retried.isEmpty {
            moves.append(
                BoundStatement(
                    SettleStatements.retry,
                    [
                        .int64s(retried.map(\.job.id.rawValue)), .int32s(retried.map { Int32($0.attempts) }),
                        .texts(retried.map(\.error.bounded)),
                    ]
                )
            )
        }
        return moves
    }

    private func moveOn(_ settlements: [Settlement], _ worker: Int64) -> BoundStatement {
        BoundStatement(
            SettleStatements.moveOn,
            [
                .int64(worker), .texts(settlements.map(\.claim.key.text)),
                .int64s(settlements.map(\.claim.fence.rawValue)), .int64s(settlements.map(\.pastPlace)),
                .bools(settlements.map(\.freesLine)), .int64s(settlements.map(\.delay.microseconds)),
                .bools(settlements.map(\.isWaiting)),
            ]
        )
    }
}

extension Settlement {
    /// What is recorded of it when it is stale: its holds ended all the same, and what it wanted to record was refused.
    package var eventsWhenRefused: [Box<LockEvent>] {
        let jobs = finished.map(\.job) + (retried.map { [$0.job] } ?? [])
        return events
            + jobs.map { job in
                var refusal = LockEvent(.refused, job, of: claim, at: .now)
                refusal.reason = "settle: the line was put back or claimed again"
                return Box(refusal)
            }
    }
}
