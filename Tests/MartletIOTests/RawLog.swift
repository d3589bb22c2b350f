import CMartlet
import Glibc
import MartletBase
import Testing

@testable import MartletIO

/// The log without its thread, so that thousands of damaged copies can be opened in a moment.
struct RawLog: ~Copyable {
    let log: OpaquePointer

    init(_ folder: String, recorder: LogRecorder? = nil) throws(Refusal) {
        var opened: OpaquePointer?
        var error = cm_log_error()
        let status = cm_log_open_recorded(&opened, folder, 65536, 0, LogRecorder.callback(recorder), &error)
        guard status == 0, let opened else { throw Refusal(status: Int(status), error) }
        log = opened
    }

    deinit { cm_log_close(log) }

    struct Refusal: Error {
        var status: Int
        var offset: UInt64
        var file: String
        var what: String

        init(status: Int, _ error: cm_log_error) {
            self.status = status
            offset = error.offset
            file = withUnsafeBytes(of: error.file) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            what = withUnsafeBytes(of: error.what) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
    }

    /// Appends one durable batch.
    func append(_ payloads: [[UInt8]]) {
        var error = cm_log_error()
        for payload in payloads {
            #expect(
                cm_log_stage(log, Int32(CM_LOG_DATA), cm_log_next(log), payload, UInt64(payload.count), &error) == 0)
        }
        #expect(cm_log_commit(log, &error) == 0)
    }

    var bounds: Range<UInt64> { cm_log_first(log)..<cm_log_next(log) }

    var payloads: [[UInt8]] {
        var all: [[UInt8]] = []
        for index in cm_log_first(log)..<cm_log_next(log) {
            var payload: UnsafeRawPointer?
            var length: UInt64 = 0
            var error = cm_log_error()
            #expect(cm_log_read(log, index, &payload, &length, &error) == 0)
            all.append(Array(UnsafeRawBufferPointer(start: payload, count: Int(length))))
        }
        return all
    }
}

func overwrite(_ path: String, with bytes: [UInt8]) {
    let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    #expect(write(fd, bytes, bytes.count) == bytes.count)
    close(fd)
}

func payload(_ number: Int, length: Int) -> [UInt8] {
    (0..<length).map { UInt8(truncatingIfNeeded: number &* 131 &+ $0 &* 7 | 1) }
}

/// Makes a log, or goes on with it, with these batches.
func makeLog(_ folder: String, batches: [[[UInt8]]]) throws {
    let log = try RawLog(folder)
    for batch in batches {
        var error = cm_log_error()
        for bytes in batch {
            while cm_log_stage(
                log.log, Int32(CM_LOG_DATA), cm_log_next(log.log), bytes, UInt64(bytes.count), &error) == CM_LOG_FULL
            { #expect(cm_log_commit(log.log, &error) == 0) }
        }
        #expect(cm_log_commit(log.log, &error) == 0)
    }
}

/// A segment with the right checksum in its header.
func withHeaderChecksum(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    let checksum = cm_crc32c(0, bytes, 44)
    for byte in 0..<4 { bytes[44 + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * byte)) }
    return bytes
}
