import HTTPTypes
import HummingbirdCore
import NIOCore
import Testing

@testable import Intake

struct SiteCheckTests {
    private func refusal(
        _ method: HTTPRequest.Method,
        host: String?,
        isForThisMachine: Bool = true,
        _ fields: [String: String] = [:]
    ) -> Problem? {
        var head = HTTPRequest(method: method, scheme: nil, authority: host, path: "/v1/jobs")
        for (name, value) in fields { head.headerFields[HTTPField.Name(name)!] = value }  // Valid names.
        let request = Request(head: head, body: RequestBody(buffer: ByteBuffer()))
        return SiteCheck(isForThisMachine: isForThisMachine).refusal(of: request)
    }

    @Test(arguments: [
        ["Sec-Fetch-Site": "cross-site"], ["Sec-Fetch-Site": "same-site"], ["Sec-Fetch-Site": "something-new"],
        // Both sent: the word of the browser counts.
        ["Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:3000"],
        ["Origin": "https://evil.example"], ["Origin": "http://localhost:8080"], ["Origin": "null"], ["Origin": ""],
        ["Origin": "http://localhost:3000.evil.example"],
    ])
    func `what the page of another site asks for is not done`(fields: [String: String]) throws {
        for isForThisMachine in [true, false] {
            for method in [HTTPRequest.Method.post, .patch, .put, .delete] {
                let found = refusal(method, host: "localhost:3000", isForThisMachine: isForThisMachine, fields)
                #expect(found?.status == .forbidden)
                #expect(found?.details.detail.contains("holdfast tokens create") == true)
            }
            // What it cannot read does no harm.
            for method in [HTTPRequest.Method.get, .head, .options] {
                #expect(refusal(method, host: "localhost:3000", isForThisMachine: isForThisMachine, fields) == nil)
            }
        }
    }

    @Test(arguments: [
        [:], ["Sec-Fetch-Site": "same-origin"], ["Sec-Fetch-Site": "none"], ["Origin": "http://localhost:3000"],
        ["Origin": "http://LOCALHOST:3000"],
        // Behind a proxy that names another host.
        ["Sec-Fetch-Site": "same-origin", "Origin": "https://jobs.example"],
    ])
    func `our own pages and programs are served`(fields: [String: String]) {
        #expect(refusal(.post, host: "localhost:3000", fields) == nil)
    }

    @Test(arguments: [
        "localhost", "localhost:3000", "Localhost:3000", "jobs.localhost:3000", "127.0.0.1:3000", "127.1.2.3",
        "[::1]:3000", nil,
    ])
    func `this machine is known by its names`(host: String?) {
        #expect(refusal(.get, host: host) == nil)
        #expect(refusal(.post, host: host) == nil)
    }

    @Test(arguments: [
        "evil.example", "evil.example:3000", "127.0.0.1.evil.example:3000", "127.evil.example",
        "localhost.evil.example", "notlocalhost", "[::2]:3000", "10.0.0.1:3000", "",
    ])
    func `another name is refused, to read too, where only this machine is let in`(host: String) throws {
        for method in [HTTPRequest.Method.get, .post] {
            let found = try #require(refusal(method, host: host, ["Sec-Fetch-Site": "same-origin"]))
            #expect(found.status == .forbidden && found.details.detail.contains("--insecure"))
            #expect(refusal(method, host: host, isForThisMachine: false) == nil)
        }
    }
}
