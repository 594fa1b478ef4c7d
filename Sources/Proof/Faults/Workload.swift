import AsyncHTTPClient
import FaultChecking
import Foundation
import NIOCore
import NIOHTTP1
import Randomness
import Synchronization

/// Clients that submit jobs, and keep a record of what they were answered.
///
/// Each key is one client's own, which sends one request at a time: so the order of its jobs is known.
final class Workload: Sendable {
    private static let clients = 4
    private static let keysPerClient = 3

    private let system: FaultSystem
    private let sent = Mutex<[Submission]>([])

    init(_ system: FaultSystem) { self.system = system }

    var submissions: [Submission] { sent.withLock { $0 } }

    /// Submits until the task is cancelled.
    func run(_ seed: SeededRandom) async {
        var random = seed
        let seeds = (0..<Self.clients).map { _ in random.split() }
        await withDiscardingTaskGroup { group in
            for (number, seed) in seeds.enumerated() { group.addTask { await self.submit(number, seed) } }
        }
    }

    private func submit(_ client: Int, _ seed: SeededRandom) async {
        var random = seed
        for number in 0... {
            let key = "key-\(client)-\(Int.random(in: 0..<Self.keysPerClient, using: &random))"
            let temper = Int.random(in: 0..<3, using: &random) == 0 ? "stubborn" : "plain"
            let value = "\(temper)-\(client)-\(number)"
            let duration = Int.random(in: 0..<10, using: &random) == 0 ? 2500 : Int.random(in: 0...250, using: &random)
            let intake = system.intakes[number % system.intakes.count]
            let body = #"{"key":"\#(key)","value":"\#(value)","durationMs":\#(duration),"lockTtlMs":2000}"#
            // A task of its own: what was sent is recorded with its answer.
            let answer = await Task { await Self.post(body, to: intake.port) }.value
            let submission = Submission(
                key: key,
                value: value,
                answer: answer,
                answeredAtNanoseconds: Monotonic.nanoseconds
            )
            sent.withLock { $0.append(submission) }
            let pause = Duration.milliseconds(Int.random(in: 150...650, using: &random))
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    private static func post(_ body: String, to port: Int) async -> Submission.Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)/v1/jobs")
        request.method = .POST
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
