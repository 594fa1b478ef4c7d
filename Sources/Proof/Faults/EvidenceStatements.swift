import FaultChecking
import Foundation
import Holdfast
import Postgres
import Redis

/// What the checker is given of the database.
enum EvidenceStatements {
    static let finished = Statement(
        name: "evidence_finished",
        sql: "select id, lock_key, value, state, fence, error, attempt from holdfast.finished_jobs order by id"
    )
    static let unfinished = Statement(name: "evidence_unfinished", sql: "select id from holdfast.jobs")
    static let permits = Statement(
        name: "evidence_permits",
        sql: """
            select h.lock_key, j.job_id, j.fence
            from holdfast.lock_history h
            cross join lateral unnest(coalesce(h.jobs, array[h.job_id]), coalesce(h.fences, array[h.fence])) as j(job_id, fence)
            where h.event = 'acquired'
            """
    )
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
    static let rescues = Statement(
        name: "evidence_rescues",
        sql: """
            select lock_key, job_id, worker_id, (extract(epoch from at) * 1000000)::bigint
            from holdfast.lock_history
            where event = 'rescued'
            """
    )
    static let ends = Statement(
        name: "evidence_ends",
        sql: "select job_id, fence, outcome from holdfast.lock_history where outcome is not null and job_id is not null"
    )
    /// An attempt may wait, acquire, be put back, be turned away at the value node, be lost, and be settled too late.
    static let longHistories = Statement(
        name: "evidence_long_histories",
        sql: """
            select job_id, fence, count(*)
            from holdfast.lock_history
            where event <> 'extended' and job_id is not null
            group by job_id, fence
            having count(*) > 6
            """
    )
    /// A hold serves others for 100 ms from its record on; two jobs may have been frozen as they began.
    static let longSlices = Statement(
        name: "evidence_long_slices",
        sql: """
            select h.lock_key, min(h.fence), count(*) filter (where h.is_late)
            from (
                select l.lock_key, l.token_digest, l.fence,
                       l.acquired_at > min(l.ended_at) over (partition by l.lock_key, l.token_digest)
                           + interval '500 milliseconds' as is_late
                from holdfast.lock_holds l) h
            group by h.lock_key, h.token_digest
            having count(*) filter (where h.is_late) > 2
            """
    )
    /// Of acquisitions only: a node whose memory is full grants an extension, which takes no more of it.
    static let votes = Statement(
        name: "evidence_votes",
        sql: """
            select v.node, h.fence, (extract(epoch from h.at) * 1000000)::bigint
            from holdfast.lock_history h
            cross join lateral holdfast.votes_of(h.votes, h.node_set) v
            where h.event = 'acquired' and v.verdict = 'granted'
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
                error: try row.decodeIfPresent(String.self, at: 5),
                attempts: try row.decode(Int.self, at: 6)
            )
        }
        unfinished = try await pool.execute(EvidenceStatements.unfinished).map { try $0.decode(Int64.self, at: 0) }
        permits = try await pool.execute(EvidenceStatements.permits).map { row in
            Permit(
                key: try row.decode(String.self, at: 0),
                job: try row.decode(Int64.self, at: 1),
                fence: try row.decode(Int64.self, at: 2)
            )
        }
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
        rescues = try await pool.execute(EvidenceStatements.rescues).map { row in
            Rescue(
                key: try row.decode(String.self, at: 0),
                job: try row.decodeIfPresent(Int64.self, at: 1),
                worker: try row.decode(Int64.self, at: 2),
                at: try row.decode(Int64.self, at: 3)
            )
        }
        ends = try await pool.execute(EvidenceStatements.ends).map { row in
            RecordedEnd(
                job: try row.decode(Int64.self, at: 0),
                fence: try row.decode(Int64.self, at: 1),
                outcome: try row.decode(String.self, at: 2)
            )
        }
        longHistories = try await pool.execute(EvidenceStatements.longHistories).map { row in
            LongHistory(
                job: try row.decode(Int64.self, at: 0),
                fence: try row.decode(Int64.self, at: 1),
                rows: try row.decode(Int.self, at: 2)
            )
        }
        longSlices = try await pool.execute(EvidenceStatements.longSlices, [], within: .seconds(60)).map { row in
            LongSlice(
                key: try row.decode(String.self, at: 0),
                fence: try row.decode(Int64.self, at: 1),
                late: try row.decode(Int.self, at: 2)
            )
        }
        // Of a run in which no node answered with errors, nobody asks for the votes.
        if !nodeErrors.isEmpty {
            votes = try await pool.execute(EvidenceStatements.votes, [], within: .seconds(60)).map { row in
                RecordedVote(
                    node: try row.decode(String.self, at: 0),
                    fence: try row.decode(Int64.self, at: 1),
                    at: try row.decode(Int64.self, at: 2)
                )
            }
        }
        readAt = try await pool.execute(EvidenceStatements.now)[0].decode(Int64.self, at: 0)
        problems = try await QueueOperations(pool: pool).problems().map(\.description)
    }

    /// Adds what `holdfast audit verify` says; but for the seals, it asks for the last by time.
    mutating func audit(_ pool: PostgresPool, _ valueNode: String) async throws {
        let audit = Audit(pool: pool, deadline: .seconds(120))
        for check in Audit.Check.allCases where check != .unrecorded {
            findings += try await audit.violations(check).map {
                AuditFinding(check: check.rawValue, line: $0, isOfTime: check != .seals)
            }
        }
        let node = RedisNode(try RedisEndpoint(valueNode), logger: .quiet)
        let connection = Task { await node.run() }
        defer { connection.cancel() }
        findings += try await audit.unrecordedEffects(on: node).map {
            AuditFinding(check: Audit.Check.unrecorded.rawValue, line: $0, isOfTime: true)
        }
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
