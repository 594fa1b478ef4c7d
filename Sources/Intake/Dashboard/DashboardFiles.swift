import Crypto
import Foundation
import Mustache

/// A file that a browser gets.
struct DashboardFile: Sendable {
    let bytes: [UInt8]
    let type: String
    /// Another for other bytes.
    let tag: String

    init(_ bytes: [UInt8], _ type: String) {
        self.bytes = bytes
        self.type = "\(type); charset=utf-8"
        tag = "\"\(Data(SHA256.hash(data: bytes).prefix(12)).base64EncodedString())\""
    }
}

/// The files that the program carries, by path; pages are made of their templates, once.
enum DashboardFiles {
    static let pages: [(path: String, file: DashboardFile)] = [
        ("/", page("overview")),
        ("/timeline", page("timeline")),
        ("/jobs/:id", page("job", up: "../")),
        ("/keys/:key", page("key", up: "../")),
        ("/failed", page("failed")),
        ("/search", page("search")),
    ]

    static let parts: [(path: String, file: DashboardFile)] =
        [
            ("api", PackageResources.api_js),
            ("dom", PackageResources.dom_js),
            ("events", PackageResources.events_js),
            ("failed", PackageResources.failed_js),
            ("feed", PackageResources.feed_js),
            ("format", PackageResources.format_js),
            ("job", PackageResources.job_js),
            ("jobs", PackageResources.jobs_js),
            ("key", PackageResources.key_js),
            ("legend", PackageResources.legend_js),
            ("model", PackageResources.model_js),
            ("overview", PackageResources.overview_js),
            ("pan", PackageResources.pan_js),
            ("parts", PackageResources.parts_js),
            ("plot", PackageResources.plot_js),
            ("rows", PackageResources.rows_js),
            ("search", PackageResources.search_js),
            ("shell", PackageResources.shell_js),
            ("timeline", PackageResources.timeline_js),
            ("token", PackageResources.token_js),
        ].map { name, bytes in ("/dashboard/\(name).js", DashboardFile(bytes, "text/javascript")) }
        + [
            ("dashboard", PackageResources.dashboard_css),
            ("timeline", PackageResources.timeline_css),
        ].map { name, bytes in ("/dashboard/\(name).css", DashboardFile(bytes, "text/css")) }

    private static let library: MustacheLibrary = {
        let templates = [
            ("layout", PackageResources.layout_mustache),
            ("overview", PackageResources.overview_mustache),
            ("timeline", PackageResources.timeline_mustache),
            ("job", PackageResources.job_mustache),
            ("key", PackageResources.key_mustache),
            ("failed", PackageResources.failed_mustache),
            ("search", PackageResources.search_mustache),
        ]
        var library = MustacheLibrary()
        for (name, bytes) in templates {
            do {
                try library.register(String(decoding: bytes, as: UTF8.self), named: name)
            } catch {
                preconditionFailure("the program carries a bad template, \(name): \(error)")
            }
        }
        return library
    }()

    /// Makes a page; `up` is the way from it to where all pages are, as a proxy may have them under a path of its own.
    private static func page(_ name: String, up: String = "./") -> DashboardFile {
        guard let text = library.render(["page": name, "up": up], withTemplate: name) else {
            preconditionFailure("the program carries no template \(name)")
        }
        return DashboardFile([UInt8](text.utf8), "text/html")
    }
}
