import Foundation
import LocalStack
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct TLSTests {
    @Test func `a certificate is shown, and another one after SIGHUP; a bad one is not taken`() async throws {
        let folder = try await Self.makeFolder(with: "first")
        try await TestSystem.with { system in
            let arguments = ["--tls-certificate", "\(folder)/certificate.pem", "--tls-key", "\(folder)/key.pem"]
            try await system.withIntake(arguments) { intake in
                #expect(try await Self.subject(intake.port) == "first")
                try await Self.makeCertificate("second", in: folder)
                intake.program.process.signal(SIGHUP)
                try await eventually("the new one is shown") { try await Self.subject(intake.port) == "second" }
                try "nonsense".write(toFile: "\(folder)/certificate.pem", atomically: true, encoding: .utf8)
                intake.program.process.signal(SIGHUP)
                try await eventually("the bad one is reported") {
                    intake.program.output.contains("Certificate not reloaded")
                }
                #expect(try await Self.subject(intake.port) == "second")
                #expect(intake.program.output.contains("https://127.0.0.1"))
                let plain = try RawConnection(intake.port)
                try await plain.send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                let refused = try await plain.receiveToEnd()
                #expect(!refused.contains("200 OK"))
            }
        }
    }

    @Test func `a connection that is open goes on when the certificate changes`() async throws {
        let folder = try await Self.makeFolder(with: "first")
        try await TestSystem.with { system in
            let arguments = ["--tls-certificate", "\(folder)/certificate.pem", "--tls-key", "\(folder)/key.pem"]
            try await system.withIntake(arguments) { intake in
                let reloaded = "\(folder)/reloaded"
                let answers = "\(folder)/answers"
                async let session = Self.shell(
                    """
                    get() { printf 'GET /healthz HTTP/1.1\\r\\nHost: h\\r\\n%s\\r\\n' "$1"; }
                    { get; while [ ! -e \(reloaded) ]; do sleep 0.05; done; get 'Connection: close\r\n'; } |
                        openssl s_client -ign_eof -connect 127.0.0.1:\(intake.port) 2>/dev/null | tee \(answers)
                    """
                )
                try await eventually("it is served") {
                    (try? String(contentsOfFile: answers, encoding: .utf8).contains("200 OK")) ?? false
                }
                try await Self.makeCertificate("second", in: folder)
                intake.program.process.signal(SIGHUP)
                try await eventually("the new one is shown") { try await Self.subject(intake.port) == "second" }
                try Data().write(to: URL(fileURLWithPath: reloaded))
                let text = try await session
                #expect(text.contains("CN = first") && text.components(separatedBy: "200 OK").count == 3, "\(text)")
            }
        }
    }

    @Test func `files that do not go together are refused at the start`() async throws {
        let folder = try await Self.makeFolder(with: "other")
        let key = "\(folder)/key.pem"
        try FileManager.default.moveItem(atPath: key, toPath: "\(folder)/other.pem")
        try await Self.makeCertificate("first", in: folder)
        let common = ["serve", "--database-url", "host=/nowhere", "--lock-nodes", "redis://a"]
        let mixed = ["--tls-certificate", "\(folder)/certificate.pem", "--tls-key", "\(folder)/other.pem"]
        #expect(try await Program.run(common + mixed, status: 78).contains("cannot be used together"))
        #expect(try await Program.run(common + Array(mixed.prefix(2)), status: 78).contains("go together"))
    }

    /// A folder with a certificate.
    private static func makeFolder(with name: String) async throws -> String {
        let folder = TestServers.makeFolder("certificates")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await makeCertificate(name, in: folder)
        return folder
    }

    private static func makeCertificate(_ name: String, in folder: String) async throws {
        let command = "umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        try await shell(command + "-subj /CN=\(name) -keyout \(folder)/key.pem -out \(folder)/certificate.pem")
    }

    /// The common name of the certificate that a connection is shown, which serves a request too.
    private static func subject(_ port: Int) async throws -> String? {
        let text = try await shell(
            "printf 'GET /healthz HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n' | "
                + "openssl s_client -ign_eof -connect 127.0.0.1:\(port) 2>/dev/null"
        )
        guard text.contains("200 OK") else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("subject=") }?
            .split(separator: "CN = ").last.map(String.init)
    }

    @discardableResult
    private static func shell(_ command: String) async throws -> String {
        let folder = TestServers.makeFolder("shell")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/output"
        try Data().write(to: URL(fileURLWithPath: path))
        let process = try LocalProcess(
            URL(fileURLWithPath: "/bin/sh"),
            ["-c", command],
            output: FileHandle(forWritingAtPath: path)
        )
        await process.waitForExit()
        return try String(contentsOfFile: path, encoding: .utf8)
    }
}
