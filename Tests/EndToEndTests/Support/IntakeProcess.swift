import AsyncHTTPClient
import Foundation
import LocalStack
import NIOCore
import NIOHTTP1

/// An intake that listens, and what a client does with it.
struct IntakeProcess: Sendable {
    struct Answer: Sendable {
        let status: Int
        let headers: [String: String]
        let body: String

        /// The job that the answer's `Location` names.
        var job: Int64? { headers["location"]?.split(separator: "/").last.flatMap { Int64($0) } }
    }

    let program: Program
    let base: String

    var port: Int { base.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

    func post(
        _ path: String,
        _ body: String,
        _ headers: [String: String] = [:],
        token: String? = nil
    ) async throws -> Answer {
        let authorization = token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
        return try await send(.POST, path, body, headers.merging(authorization) { $1 })
    }

    func send(
        _ method: HTTPMethod,
        _ path: String,
        _ body: String?,
        _ headers: [String: String] = [:]
    ) async throws -> Answer {
        try await send(method, path, bytes: Array((body ?? "").utf8), headers)
    }

    func send(
        _ method: HTTPMethod,
        _ path: String,
        bytes: [UInt8],
        _ headers: [String: String]
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if !bytes.isEmpty { request.body = .bytes(ByteBuffer(bytes: bytes)) }
        return try await send(request)
    }

    func post(_ path: String, bytes: [UInt8]) async throws -> Answer { try await send(.POST, path, bytes: bytes, [:]) }

    func get(_ path: String, token: String? = nil, upTo limit: Int = 1 << 20) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        return try await send(request, upTo: limit)
    }

    /// How much memory it has, in KiB.
    func residentKilobytes() throws -> Int { try memory("VmRSS") }

    /// What the kernel says of its memory, in KiB; `VmHWM` is the most that it ever had.
    func memory(_ name: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(program.process.pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }

    /// How many connections to it are open, as the kernel has them.
    func connectionCount() throws -> Int {
        let local = ":" + String(format: "%04X", port)
        // A file of the kernel's has no size by which it could be read at once.
        guard let file = FileHandle(forReadingAtPath: "/proc/net/tcp") else { return 0 }
        var text = Data()
        while let piece = try file.read(upToCount: 65_536), !piece.isEmpty { text += piece }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").count { line in
            // Number, local address, remote address, state; 01 is established.
            let columns = line.split(separator: " ")
            return columns.count > 3 && columns[1].hasSuffix(local) && columns[3] == "01"
        }
    }

    /// Submits a job by `POST /v1/jobs`.
    ///
    /// - Returns: The job's id.
    func submit(_ key: String, _ value: String, durationMs: Int = 0, lockTTLMs: Int = 20_000) async throws -> Int64 {
        let answer = try await post(
            "/v1/jobs",
            #"{"key":"\#(key)","value":"\#(value)","durationMs":\#(durationMs),"lockTtlMs":\#(lockTTLMs)}"#
        )
        guard answer.status == 202, let job = answer.job else {
            throw Program.Failed(description: "not accepted: \(answer)")
        }
        return job
    }

    private func send(_ request: HTTPClientRequest, upTo limit: Int = 1 << 20) async throws -> Answer {
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(90))
        let headers = Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first }
        return Answer(
            status: Int(response.status.code),
            headers: headers,
            body: String(buffer: try await response.body.collect(upTo: limit))
        )
    }
}
