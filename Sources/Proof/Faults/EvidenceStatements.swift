import FaultChecking
import Foundation
import Holdfast
import Postgres

/// What the checker is given of the database.
enum EvidenceStatements {
    static let finished = Statement(
        name: "evidence_finished",
        sql: "select id, lock_key, value, state, fence, error from holdfast.finished_jobs order by id"
    )
    static let unfinished = Statement(name: "evidence_unfinished", sql: "select id from holdfast.jobs")
    static let holds = Statement(
        name: "evidence_holds",
        sql: """
            select lock_key, job_id, fence, (extract(epoch from acquired_at) * 1000000)::bigint,
                   (extract(epoch from ended_at) * 1000000)::bigint, (extract(epoch from valid_until) * 1000000)::bigint
            from holdfast.lock_holds
            """
    )
    /// Attempts whose line was put back by rescue, and that were settled afterwards: rescue leaves out those that were
    /// settled before.
    static let lateSettlements = Statement(
        name: "evidence_late_settlements",
        sql: """
            select job_id, fence, bool_or(event = 'refused')
            from holdfast.lock_history
            where job_id is not null
            group by job_id, fence
            having bool_or(event = 'rescued')
                and bool_or(outcome in ('succeeded', 'failed', 'lost', 'overrun'))
            """
    )
    static let now = Statement(
        name: "evidence_now",
        sql: "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
    )
}

extension Evidence {
    /// Adds what the database holds.
    mutating func read(_ pool: PostgresPool) async throws {
        finished = try await pool.execute(EvidenceStatements.finished).map { row in
            FinishedJob(
                id: try row.decode(Int64.self, at: 0),
                key: try row.decode(String.self, at: 1),
                value: try row.decode(String.self, at: 2),
                state: try row.decode(String.self, at: 3),
                fence: try row.decodeIfPresent(Int64.self, at: 4),
                error: try row.decodeIfPresent(String.self, at: 5)
            )
        }
        unfinished = try await pool.execute(EvidenceStatements.unfinished).map { try $0.decode(Int64.self, at: 0) }
        holds = try await pool.execute(EvidenceStatements.holds).map { row in
            RecordedHold(
                key: try row.decode(String.self, at: 0),
                job: try row.decode(Int64.self, at: 1),
                fence: try row.decode(Int64.self, at: 2),
                acquiredAt: try row.decode(Int64.self, at: 3),
                endedAt: try row.decodeIfPresent(Int64.self, at: 4),
                validUntil: try row.decode(Int64.self, at: 5)
            )
        }
        lateSettlements = try await pool.execute(EvidenceStatements.lateSettlements).map { row in
            LateSettlement(
                job: try row.decode(Int64.self, at: 0),
                fence: try row.decode(Int64.self, at: 1),
                wasRefused: try row.decode(Bool.self, at: 2)
            )
        }
        readAt = try await pool.execute(EvidenceStatements.now)[0].decode(Int64.self, at: 0)
        problems = try await QueueOperations(pool: pool).problems().map(\.description)
    }

    /// Adds what workers and the value node left in files of a run.
    mutating func read(folder: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        for name in names where name.hasSuffix(".trace") {
            trace += TraceEvent.parse(try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))
        }
        let logs = "\(folder)/value-node/appendonlydir"
        for name in try FileManager.default.contentsOfDirectory(atPath: logs).sorted() where name.hasSuffix(".incr.aof")
        {
            let bytes = FileManager.default.contents(atPath: "\(logs)/\(name)") ?? Data()
            writes += ValueLog.writes(in: Array(bytes))
        }
    }
}
