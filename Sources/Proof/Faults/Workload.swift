import AsyncHTTPClient
import FaultChecking
import Foundation
import NIOCore
import NIOHTTP1
import Postgres
import Randomness
import Synchronization

/// Clients that submit jobs, and keep a record of what they were answered.
///
/// Each key is one client's own, which submits one job at a time: so the order of its jobs is known. Some submit by SQL
/// now and then. Some have a hot key: they submit bursts of brief jobs to it, which share holds, and the line is empty in
/// between.
final class Workload: Sendable {
    private static let clients = 4
    private static let keysPerClient = 3
    private static let hotClients = 2

    private static let submit = Statement(
        name: "faults_submit",
        sql: """
            select holdfast.submit(key => $1, value => $2, kind => $3, duration_ms => $4, lock_ttl_ms => 2000)
            """
    )

    private let system: FaultSystem
    private let sent = Mutex<[Submission]>([])

    init(_ system: FaultSystem) { self.system = system }

    var submissions: [Submission] { sent.withLock { $0 } }

    /// Submits until the task is cancelled.
    func run(_ seed: SeededRandom) async {
        var random = seed
        let seeds = (0..<Self.clients + Self.hotClients).map { _ in random.split() }
        await withDiscardingTaskGroup { group in
            for (number, seed) in seeds.enumerated() {
                group.addTask {
                    if number < Self.clients { await self.submit(number, seed) } else { await self.flood(number, seed) }
                }
            }
        }
    }

    private func submit(_ client: Int, _ seed: SeededRandom) async {
        var random = seed
        for number in 0... {
            let duration = Int.random(in: 0..<10, using: &random) == 0 ? 2500 : Int.random(in: 0...250, using: &random)
            let temper = Int.random(in: 0..<3, using: &random) == 0 ? "stubborn" : "plain"
            let job = Job(
                key: "key-\(client)-\(Int.random(in: 0..<Self.keysPerClient, using: &random))",
                value: "\(temper)-\(client)-\(number)",
                kind: Self.kind(&random),
                duration: duration
            )
            await send(job, number, isBySQL: Int.random(in: 0..<4, using: &random) == 0)
            let pause = Duration.milliseconds(Int.random(in: 150...650, using: &random))
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    private func flood(_ client: Int, _ seed: SeededRandom) async {
        var random = seed
        var number = 0
        while !Task.isCancelled {
            let isBySQL = Int.random(in: 0..<4, using: &random) == 0
            // Jobs that wait for each other and share holds; or jobs that take no time, one by one, each of which may come
            // at the moment in which its line is found to be empty.
            let isTight = Bool.random(using: &random)
            for _ in 0..<Int.random(in: 1...40, using: &random) where !Task.isCancelled {
                let job = Job(
                    key: "hot-\(client)",
                    value: "plain-\(client)-\(number)",
                    kind: Self.kind(&random, others: 40),
                    duration: isTight ? 0 : Int.random(in: 0...50, using: &random)
                )
                // One way, and now and then the other: a key's jobs run in the order in which they came, by any way.
                await send(job, number, isBySQL: isBySQL != (Int.random(in: 0..<8, using: &random) == 0))
                number += 1
                let gap = Duration.milliseconds(isTight ? Int.random(in: 0...20, using: &random) : 0)
                do { try await Task.sleep(for: gap) } catch { return }
            }
            let pause = Duration.milliseconds(Int.random(in: 10...1500, using: &random))
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    private struct Job: Sendable {
        let key: String
        let value: String
        let kind: String
        let duration: Int
    }

    private static func kind(_ random: inout SeededRandom, others: Int = 4) -> String {
        Int.random(in: 0..<others, using: &random) == 0 ? OtherTracedTask.kind : TracedTask.kind
    }

    private func send(_ job: Job, _ number: Int, isBySQL: Bool) async {
        let intake = system.intakes[number % system.intakes.count]
        // A task of its own: what was sent is recorded with its answer.
        let answer = await Task { isBySQL ? await self.submit(job) : await Self.post(job, to: intake.port) }.value
        let submission = Submission(
            key: job.key,
            value: job.value,
            answer: answer,
            answeredAtNanoseconds: Monotonic.nanoseconds
        )
        sent.withLock { $0.append(submission) }
    }

    private func submit(_ job: Job) async -> Submission.Answer {
        do {
            let rows = try await system.submitters.execute(
                Self.submit,
                [.text(job.key), .text(job.value), .text(job.kind), .int32(Int32(job.duration))],
                within: .seconds(3)
            )
            return .accepted(try rows[0].decode(Int64.self, at: 0))
        } catch {
            return .inDoubt
        }
    }

    private static func post(_ job: Job, to port: Int) async -> Submission.Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/v1/jobs")
        request.method = .POST
        let body = """
            {"key":"\(job.key)","value":"\(job.value)","kind":"\(job.kind)","durationMs":\(job.duration),"lockTtlMs":2000}
            """
        request.body = .bytes(ByteBuffer(string: body))
        do {
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(3))
            let location = response.headers.first(name: "location")
            let text = String(buffer: try await response.body.collect(upTo: 1 << 16))
            if response.status == .accepted, let job = location?.split(separator: "/").last.flatMap({ Int64($0) }) {
                return .accepted(job)
            }
            return text.contains("nothing was stored") ? .refused : .inDoubt
        } catch {
            // Whatever went wrong: the job may have been stored.
            return .inDoubt
        }
    }
}
