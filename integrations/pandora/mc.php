<?php
// The door through which a metaconsole gateway opens this Pandora FMS console: one file, in the console's folder.
//
// It takes a signed text (mc1) from a browser and starts a session of the console, for one account, once. Who may be
// opened is decided by the site's own policy file (see mc.example.ini), which like the key file lies outside the
// document root. Nothing of the console is changed; deleting this file removes the door.
//
// What protects the console:
// - The signature, the address, the times and the browser's state are checked before the console's own configuration is
//   read, because reading it opens the database and a session and acts on fields of the request.
// - While it is read, the request is empty (no fields, no cookies), and the session is one in memory which nobody
//   writes down: see `enter_console`.
// - A token is spent in a table of our own before anything else is looked at, so a refused one stays spent.
// - Every refusal shows the same page. The reason is in the web server's error log (or `audit_file`), and, once a token was
//   spent, in the console's audit.

declare(strict_types=1);

namespace Metaconsole;

const VERSION = '1';
const SKEW = 30;
const LIFE_MAX = 120;
const TOKEN_MAX = 2048;
const BODY_MAX = 8192;
/** How much longer than its token the answer to "continue as …?" is taken, in seconds. */
const CONTINUE_FOR = 150;
const TABLE = 'tmc_openings';
const PRE_COOKIE = '__Host-mc_pre_';
/**
 * The console's session that a browser had at `start`. Browsers send that itself with a navigation, but not with the
 * gateway's form, which comes from another site (SameSite; without the attribute after two minutes): somebody else's
 * session would be replaced unasked.
 */
const WAS_COOKIE = '__Host-mc_was';
/** What a site may permit although it is refused by default. A disabled, blocked or API-only account never enters. */
const PERMITS = ['administrator', 'second_factor', 'password_change', 'address_list'];

/** A refusal. Its message is the reason: for the audit, never for the browser. */
final class Refused extends \Exception
{
    /** The HTTP status: 403, or 503 when the site must repair something. */
    public int $status;

    public function __construct(string $reason, int $status = 403)
    {
        parent::__construct($reason);
        $this->status = $status;
    }
}

/** A session that lives in memory only: what the console's configuration finds already open. */
final class NoSession implements \SessionHandlerInterface
{
    public function open(string $path, string $name): bool
    {
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    public function read(string $id): string
    {
        return '';
    }

    public function write(string $id, string $data): bool
    {
        return true;
    }

    public function destroy(string $id): bool
    {
        return true;
    }

    public function gc(int $max_lifetime): int
    {
        return 0;
    }
}

/** What is known about this request. The console's globals cannot reach it. */
final class Request
{
    public static string $action = '-';
    public static string $address = '-';
    public static string $session_name = 'PHPSESSID';
    public static ?array $policy = null;
    /** Set once an answer was sent; else the console ended the script and the browser gets the generic page. */
    public static bool $answered = false;
    /** Whether the console's configuration was read, so that its audit can be written. */
    public static bool $inside = false;
    /** Verified claims, for the audit. */
    public static array $claims = [];
    /** @var array<string, list<string>> Cookies of the raw header, by name. */
    public static array $cookies = [];
}

// ---------------------------------------------------------------- policy and keys

/** The text of a private file: outside the document root, and nothing for group or others. */
function private_file(string $path, string $what): string
{
    $real = realpath($path);
    if ($real === false || !is_file($real)) {
        throw new Refused("config: $what $path is missing, or its folder is closed to this process", 503);
    }
    foreach ([$_SERVER['DOCUMENT_ROOT'] ?? '', __DIR__] as $root) {
        $root = $root === '' ? false : realpath($root);
        if ($root !== false && str_starts_with($real, rtrim($root, '/') . '/')) {
            throw new Refused("config: $what $real lies below the document root; move it out", 503);
        }
    }
    if ((fileperms($real) & 0077) !== 0) {
        throw new Refused("config: $what $real is open to others than its owner; chmod 600 it", 503);
    }
    if ((fileperms(dirname($real)) & 0002) !== 0) {
        throw new Refused("config: everybody may write into the folder of $what $real", 503);
    }
    if (!is_readable($real)) {
        throw new Refused("config: $what $real cannot be read; chown it to the user PHP runs as", 503);
    }
    return $real;
}

/**
 * The site's policy, checked whole. A word that we do not know is a mistake, not a comment. It is data, not PHP: a PHP file
 * would be kept by opcache, and an account taken off the list could still be opened for a while, or for good.
 */
function policy(): array
{
    $path = $_SERVER['METACONSOLE_POLICY'] ?? getenv('METACONSOLE_POLICY');
    $path = is_string($path) && $path !== '' ? $path : '/etc/metaconsole/pandora.ini';
    $real = private_file($path, 'policy');
    $given = @parse_ini_string((string) file_get_contents($real), false, INI_SCANNER_RAW);
    if (!is_array($given)) {
        throw new Refused("config: $real is not understood, it is not INI", 503);
    }
    $policy = $given + [
        'allow' => [], 'permit' => [], 'require_mfa' => 'no', 'verification' => 'offline', 'audit_file' => '',
    ];
    $known = ['site', 'issuers', 'gateway', 'keys', 'allow', 'permit', 'require_mfa', 'verification', 'audit_file'];
    $wrong = array_diff(array_keys($policy), $known);
    $is_list = static fn ($value) => is_array($value) && array_keys($value) === array_keys(array_keys($value));
    $checks = [
        'unknown entry ' . one_line(implode(', ', $wrong)) => $wrong === [],
        'site' => is_string($policy['site'] ?? null) && preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $policy['site']) === 1,
        'issuers[]' => $is_list($policy['issuers'] ?? null) && $policy['issuers'] !== [],
        'gateway' => is_string($policy['gateway'] ?? null)
            && preg_match('~^(?:https://[A-Za-z0-9.:\[\]-]+|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?)'
                . '(?:/[A-Za-z0-9._/-]*)?$~D', $policy['gateway']) === 1,
        'keys' => is_string($policy['keys'] ?? null) && $policy['keys'] !== '',
        'allow[]' => $is_list($policy['allow']),
        'permit[]' => $is_list($policy['permit']) && array_diff($policy['permit'], PERMITS) === [],
        'require_mfa' => in_array($policy['require_mfa'], ['yes', 'no'], true),
        'verification' => in_array($policy['verification'], ['offline', 'online'], true),
        'audit_file' => is_string($policy['audit_file']),
    ];
    foreach ($checks as $what => $good) {
        if (!$good) {
            throw new Refused("config: $real: $what is missing or not understood", 503);
        }
    }
    $policy['require_mfa'] = $policy['require_mfa'] === 'yes';
    $policy['gateway'] = rtrim($policy['gateway'], '/');
    $policy['keys'] = keys($policy['keys'], $policy['site']);
    return $policy;
}

/**
 * The key file: lines `site ID` and `PURPOSE KID KEY`, the key 43 characters of base64url; `#` begins a comment.
 *
 * @return array<string, array<string, string>> purpose => kid => 32 bytes
 */
function keys(string $path, string $site): array
{
    $real = private_file($path, 'key file');
    $keys = [];
    $seen = [];
    foreach (file($real, FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) ?: [] as $at => $line) {
        $words = preg_split('/\s+/', trim((string) preg_replace('/#.*/', '', $line)), -1, PREG_SPLIT_NO_EMPTY);
        if ($words === []) {
            continue;
        }
        if ($words[0] === 'site' && count($words) === 2) {
            if ($words[1] !== $site) {
                throw new Refused("config: $real holds the keys of another site", 503);
            }
            continue;
        }
        $key = count($words) === 3 ? base64url($words[2]) : null;
        $good = $key !== null && strlen($key) === 32 && count_chars($key, 3) !== $key[0] && !isset($seen[$key])
            && in_array($words[0], ['mc1', 'mc1-verify', 'mc1-gate', 'mc1-push'], true)
            && preg_match('/^[A-Za-z0-9_-]{1,16}$/D', $words[1]) === 1 && !isset($keys[$words[0]][$words[1]]);
        if (!$good) {
            throw new Refused("config: $real: line " . ($at + 1) . ' is not a key, or a repeated or too simple one', 503);
        }
        if (is_published($key, $words[0], $site, $words[1])) {
            throw new Refused("config: $real: line " . ($at + 1) . ' is one of the published test keys; anybody has it', 503);
        }
        $seen[$key] = true;
        $keys[$words[0]][$words[1]] = $key;
    }
    if (!isset($keys['mc1'], $keys['mc1-gate'])) {
        throw new Refused("config: $real has no key for mc1 or for mc1-gate", 503);
    }
    return $keys;
}

/**
 * Whether anybody can make this key: it is, or is derived from, a master key of the published test vectors (32 bytes that
 * count on from 0x00, 0x20 or 0x40). The gateway refuses those, too.
 */
function is_published(string $key, string $purpose, string $site, string $kid): bool
{
    // As ours would be derived, and as those that stand in the vectors were, whatever they are called here.
    $labels = ["$purpose|$site|$kid", 'session|gateway|2026a'];
    foreach (['mc1', 'mc1-verify', 'mc1-gate', 'mc1-push'] as $word) {
        foreach (['2026a', '2026b', '2025z'] as $known) {
            array_push($labels, "$word|site-madrid|$known", "$word|site-bilbao|$known");
        }
    }
    foreach ([0x00, 0x20, 0x40] as $first) {
        $master = implode('', array_map('chr', range($first, $first + 31)));
        foreach ($labels as $label) {
            if ($key === $master || $key === hash_hkdf('sha256', $master, 32, $label, 'metaconsole-delegation-v1')) {
                return true;
            }
        }
    }
    return false;
}

// ---------------------------------------------------------------- signed texts

/** Strict base64url without padding; null for anything else. */
function base64url(string $text): ?string
{
    if (preg_match('/^[A-Za-z0-9_-]*$/D', $text) !== 1) {
        return null;
    }
    $bytes = base64_decode(strtr($text, '-_', '+/'), true);
    // Only the one spelling that these bytes have: unused bits are zero.
    return $bytes !== false && to_base64url($bytes) === $text ? $bytes : null;
}

function to_base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

/** The payload of a text whose MAC holds, not yet parsed. Nothing of it is looked at before. */
function signed_payload(string $text, string $prefix, array $keys): string
{
    if (strlen($text) > TOKEN_MAX) {
        throw new Refused('too_long');
    }
    $shape = '/^' . $prefix . '\.([A-Za-z0-9_-]{1,16})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/D';
    if (preg_match($shape, $text, $part) !== 1) {
        throw new Refused('malformed');
    }
    $payload = base64url($part[2]);
    $mac = base64url($part[3]);
    if ($payload === null || $mac === null) {
        throw new Refused('malformed');
    }
    $key = $keys[$part[1]] ?? throw new Refused('unknown_kid');
    if (!hash_equals(hash_hmac('sha256', "$prefix.$part[1].$part[2]", $key, true), $mac)) {
        throw new Refused('bad_mac');
    }
    return $payload;
}

/**
 * Members of a flat JSON object of texts and whole numbers. PHP's own reader keeps the last of two members of one name
 * and takes floats for numbers, so the object is taken apart here, and only its texts are given to PHP.
 */
function flat_json(string $json): array
{
    $members = [];
    $at = 0;
    $text = '"(?:[^"\\\\\x00-\x1f]++|\\\\(?:["\\\\/bfnrt]|u[0-9a-fA-F]{4}))*+"';
    $blank = '[ \t\n\r]*+';
    $take = static function (string $pattern) use ($json, &$at): array {
        if (preg_match("~\\G$pattern~", $json, $found, 0, $at) !== 1) {
            throw new Refused('malformed');
        }
        $at += strlen($found[0]);
        return $found;
    };
    if (preg_match('//u', $json) !== 1) {
        throw new Refused('malformed');
    }
    $take("$blank\\{");
    do {
        $found = $take("$blank($text)$blank:$blank(?:($text)|(0|[1-9][0-9]{0,18}+)(?![0-9.eE]))$blank([,}])");
        $name = json_decode($found[1]);
        $value = $found[2] !== '' ? json_decode($found[2]) : json_decode($found[3]);
        if (!is_string($name) || !(is_string($value) || is_int($value)) || array_key_exists($name, $members)) {
            throw new Refused('malformed');
        }
        $members[$name] = $value;
    } while ($found[4] === ',');
    $take("$blank\\z");
    return $members;
}

/** Exactly these members, with these types ('i' whole number, 's' text). */
function members(array $claims, array $types): void
{
    if (count($claims) !== count($types)) {
        throw new Refused('malformed');
    }
    foreach ($types as $name => $type) {
        if (!isset($claims[$name]) || ($type === 'i' ? !is_int($claims[$name]) : !is_string($claims[$name]))) {
            throw new Refused('malformed');
        }
    }
    if (strlen((string) base64url($claims['jti'])) !== 16) {
        throw new Refused('malformed');
    }
}

/** Who says it, to whom, and when. `$late` is added to the end of its life. */
function addressed(array $claims, array $policy, int $late = 0): void
{
    if (!in_array($claims['iss'], $policy['issuers'], true)) {
        throw new Refused('wrong_issuer');
    }
    if ($claims['aud'] !== $policy['site']) {
        throw new Refused('wrong_audience');
    }
    $now = time();
    if ($claims['exp'] <= $claims['iat']) {
        throw new Refused('bad_times');
    }
    if ($claims['exp'] - $claims['iat'] > LIFE_MAX) {
        throw new Refused('ttl_too_long');
    }
    if ($claims['iat'] > $now + SKEW) {
        throw new Refused('not_yet_valid');
    }
    if ($now > $claims['exp'] + SKEW + $late) {
        throw new Refused('expired');
    }
}

/** Claims of an opening: a token (mc1), or our own "continue as …?" (mcc1) about a token that was spent. */
function opening(string $text, bool $continued, array $policy): array
{
    $payload = $continued
        ? signed_payload($text, 'mcc1', $policy['keys']['mc1-gate'])
        : signed_payload($text, 'mc1', $policy['keys']['mc1']);
    $claims = flat_json($payload);
    members($claims, [
        'iss' => 's', 'aud' => 's', 'sub' => 's', 'act' => 's', 'amr' => 's', 'iat' => 'i', 'exp' => 'i', 'jti' => 's',
        'dst' => 's', 'st' => 's',
    ]);
    if (!in_array($claims['amr'], ['pwd', 'mfa', 'ext'], true) || strlen((string) base64url($claims['st'])) !== 32) {
        throw new Refused('malformed');
    }
    addressed($claims, $policy, $continued ? CONTINUE_FOR : 0);
    return $claims;
}

/** What else the claims must be. It is computed before the console is entered, and told after the token is spent. */
function fault_of(array $claims): ?string
{
    if (!good_account($claims['sub'])) {
        return 'bad_sub';
    }
    if (!good_path($claims['dst'])) {
        return 'bad_dst';
    }
    return browser_state($claims['st']) === null ? 'state_mismatch' : null;
}

/** An account name: NFC, 1 to 128 bytes, nothing invisible, no blank at either end. */
function good_account(string $name): bool
{
    if ($name === '' || strlen($name) > 128 || preg_match('//u', $name) !== 1) {
        return false;
    }
    $invisible = '[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\x{34F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{3164}\x{FFA0}'
        . '\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]';
    if (preg_match("/$invisible|^[\\p{Z}\\s]|[\\p{Z}\\s]$/Du", $name) === 1) {
        return false;
    }
    if (class_exists(\Normalizer::class)) {
        return \Normalizer::isNormalized($name, \Normalizer::FORM_C);
    }
    // Without the intl extension: no combining mark, and none of the characters that NFC replaces. Stricter than NFC.
    $replaced = '[\p{M}\x{1100}-\x{11FF}\x{374}\x{37E}\x{387}\x{1F71}\x{1F73}\x{1F75}\x{1F77}\x{1F79}\x{1F7B}\x{1F7D}'
        . '\x{1FBB}\x{1FBE}\x{1FC9}\x{1FCB}\x{1FD3}\x{1FDB}\x{1FE3}\x{1FEB}\x{1FEE}\x{1FEF}\x{1FF9}\x{1FFB}\x{1FFD}'
        . '\x{2000}\x{2001}\x{2126}\x{212A}\x{212B}\x{2329}\x{232A}\x{2ADC}\x{958}-\x{95F}\x{9DC}-\x{9DF}\x{A33}-\x{A5E}'
        . '\x{B5C}\x{B5D}\x{F43}-\x{FB9}\x{F900}-\x{FAFF}\x{FB1D}-\x{FB4E}\x{1D15E}-\x{1D1C0}\x{2F800}-\x{2FA1F}]';
    return preg_match("/$replaced/u", $name) !== 1;
}

/** A path on this host, and nothing that a browser could take for another host. */
function good_path(string $path): bool
{
    return strlen($path) <= 512 && preg_match('~^/(?:[\x21-\x2E\x30-\x5B\x5D-\x7E][\x21-\x5B\x5D-\x7E]*)?$~D', $path) === 1;
}

// ---------------------------------------------------------------- request and answer

/** @return list<array{string, string}> Pairs of a query or a form body, exactly as sent. PHP's arrays hide repetition. */
function pairs(string $text): array
{
    $pairs = [];
    foreach ($text === '' ? [] : explode('&', $text) as $pair) {
        [$name, $value] = explode('=', $pair, 2) + [1 => ''];
        $pairs[] = [urldecode($name), urldecode($value)];
    }
    return $pairs;
}

/** The one value of a request that has these parameters and no other, each once. */
function only(array $pairs, array $names): array
{
    $found = [];
    foreach ($pairs as [$name, $value]) {
        if (isset($found[$name])) {
            throw new Refused('duplicate_param');
        }
        if (!in_array($name, $names, true)) {
            throw new Refused('malformed');
        }
        $found[$name] = $value;
    }
    return $found;
}

/** Cookies of the raw header, by name: repetition counts, and PHP would hide it. */
function raw_cookies(): array
{
    $cookies = [];
    $header = $_SERVER['HTTP_COOKIE'] ?? '';
    // Several Cookie headers arrive joined by "; " or ", ", depending on the web server.
    foreach (preg_split('/;|, /', strlen($header) <= 16384 ? $header : '') ?: [] as $pair) {
        [$name, $value] = explode('=', $pair, 2) + [1 => ''];
        $cookies[trim($name)][] = trim($value);
    }
    return $cookies;
}

/** The cookie that holds the state this text was made for: [name, state]. */
function browser_state(string $st): ?array
{
    foreach (Request::$cookies as $name => $values) {
        if (preg_match('/^' . PRE_COOKIE . '[A-Za-z0-9_-]{1,22}$/D', (string) $name) !== 1) {
            continue;
        }
        foreach ($values as $value) {
            if ($value !== '' && hash_equals($st, to_base64url(hash('sha256', $value, true)))) {
                return [(string) $name, $value];
            }
        }
    }
    return null;
}

/** `mc.php/start` or `mc.php?a=start`: many web servers pass nothing behind `.php` on. */
function action(): array
{
    $query = pairs((string) ($_SERVER['QUERY_STRING'] ?? ''));
    $action = ltrim((string) ($_SERVER['PATH_INFO'] ?? ''), '/');
    if ($action === '') {
        $at = array_search('a', array_column($query, 0), true);
        if ($at !== false) {
            $action = $query[$at][1];
            array_splice($query, $at, 1);
        }
    }
    return [$action, $query];
}

/** Headers of every answer. */
function plain_headers(int $status): void
{
    http_response_code($status);
    header_remove('Set-Cookie');
    foreach ([
        'Cache-Control: no-store', 'Referrer-Policy: no-referrer', 'X-Content-Type-Options: nosniff',
        'Cross-Origin-Resource-Policy: same-origin', 'Cross-Origin-Opener-Policy: same-origin', 'X-Robots-Tag: noindex',
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none';"
            . " base-uri 'none'",
    ] as $line) {
        header($line);
    }
    foreach (['Expires', 'Pragma', 'Last-Modified', 'X-Powered-By', 'Location'] as $name) {
        header_remove($name);
    }
}

/** Ends the request. Whatever the console printed meanwhile is dropped. */
function answer(int $status, string $type, string $body, array $headers = []): void
{
    while (ob_get_level() > 0 && @ob_end_clean()) {
        // One level less.
    }
    Request::$answered = true;
    plain_headers($status);
    header("Content-Type: $type; charset=utf-8");
    foreach ($headers as $line) {
        header($line, false);
    }
    echo $body;
    exit;
}

function page(string $title, string $body): string
{
    return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>$title</title>"
        . '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        . '<style>body{font:1rem/1.5 sans-serif;max-width:34rem;'
        . 'margin:12vh auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem}'
        . '@media(prefers-color-scheme:dark){body{background:#15181c;color:#e6e8eb}a{color:#8fc3f5}}</style></head>'
        . "<body><h1>$title</h1>$body</body></html>\n";
}

/** Text for a page. */
function text(string $value): string
{
    return htmlspecialchars($value, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

/** The one page of all refusals. */
function refuse(string $reason, int $status): void
{
    audit('refused', $reason);
    $again = '';
    if (Request::$policy !== null) {
        $url = text(Request::$policy['gateway'] . '/open/' . Request::$policy['site']);
        $again = "<p><a rel=\"noreferrer\" href=\"$url\">Open it again</a></p>";
    }
    answer($status, 'text/html', page('This did not open', '<p>An opening works once, within a minute, in the browser that'
        . ' asked for it, for accounts that this console lets in. You are not logged in by it.</p>' . $again));
}

/** Text of a stranger for one line of a log. */
function one_line(string $value): string
{
    return (string) preg_replace('/[^\x20-\x7E]/', '?', substr($value, 0, 128));
}

/** One line about what was decided; also into the console's audit when it was entered. */
function audit(string $result, string $reason, array $more = []): void
{
    $claims = Request::$claims;
    $fields = ['action' => Request::$action, 'result' => $result, 'reason' => $reason, 'ip' => Request::$address];
    if ($claims !== []) {
        $fields += [
            'account' => $claims['sub'] ?? '', 'actor' => $claims['act'] ?? '', 'iss' => $claims['iss'],
            'jti_sha256' => substr(hash('sha256', $claims['jti']), 0, 16),
        ];
    }
    $flags = JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE;
    $line = json_encode($fields + $more, $flags);
    $file = Request::$policy['audit_file'] ?? '';
    if ($file === '' || @file_put_contents($file, date('c') . " $line\n", FILE_APPEND | LOCK_EX) === false) {
        error_log("metaconsole: $line");
    }
    if (!Request::$inside || $claims === []) {
        return;
    }
    $what = "metaconsole: $reason";
    if (Request::$action === 'login') {
        $what = "metaconsole: $result, $reason, " . one_line($claims['act']) . ' of ' . one_line($claims['iss']) . ' as '
            . one_line($claims['sub']);
    }
    $kind = defined('AUDIT_LOG_USER_REGISTRATION') ? (string) constant('AUDIT_LOG_USER_REGISTRATION') : 'User Registration';
    try {
        \db_pandora_audit($kind, $what, Request::$claims['db_user'] ?? 'system');
    } catch (\Throwable $error) {
        error_log('metaconsole: the console\'s audit refused a line: ' . one_line($error->getMessage()));
    }
}

// ---------------------------------------------------------------- inside the console

/**
 * Empties the request and opens the session in memory. After this the console's configuration may be read: it finds a
 * session running (and the mark that its own handlers are set, so it does not set them), no field, and no cookie.
 */
function enter_console(): void
{
    Request::$session_name = (string) session_name();
    if (session_status() === PHP_SESSION_ACTIVE) {
        session_abort();
    }
    $_GET = $_POST = $_REQUEST = $_FILES = $_COOKIE = [];
    foreach (array_keys($_SERVER) as $name) {
        if (str_starts_with((string) $name, 'HTTP_') && !in_array($name, ['HTTP_HOST', 'HTTP_USER_AGENT'], true)) {
            unset($_SERVER[$name]);
        }
    }
    unset($_SERVER['PATH_INFO'], $_SERVER['ORIG_PATH_INFO'], $_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW']);
    $_SERVER['QUERY_STRING'] = '';
    $_SERVER['REQUEST_URI'] = $_SERVER['PHP_SELF'] = $_SERVER['SCRIPT_NAME'] ?? '/mc.php';
    ini_set('session.use_cookies', '0');
    ini_set('session.use_only_cookies', '1');
    ini_set('session.use_trans_sid', '0');
    ini_set('session.use_strict_mode', '0');
    ini_set('session.cache_limiter', '');
    session_set_save_handler(new NoSession(), true);
    session_id(bin2hex(random_bytes(16)));
    session_start();
    $GLOBALS['config']['_using_pandora_sessionhandlers'] = true;
    chdir(__DIR__);
    ob_start();
    register_shutdown_function(static function (): void {
        if (!Request::$answered) {
            refuse('console_failed: its configuration ended the request', 503);
        }
    });
}

/** Called when the console's configuration was read: is this a console that we know how to enter? */
function inside_console(): void
{
    Request::$inside = true;
    foreach ([
        'db_process_sql', 'db_get_all_rows_sql', 'db_pandora_audit', 'db_logon', 'db_logoff', 'io_safe_input',
        'io_output_password', 'enable_session_handlers', 'pandora_session_read', 'pandora_session_destroy',
    ] as $name) {
        if (!function_exists("\\$name")) {
            throw new Refused("console_unknown: it has no function $name", 503);
        }
    }
}

/** Rows of a query that is built of numbers and hexadecimal texts only. */
function rows(string $sql): array
{
    $rows = \db_get_all_rows_sql($sql, false, false);
    return is_array($rows) ? $rows : [];
}

/** A text inside such a query. */
function sql_text(string $value): string
{
    return "CAST(X'" . bin2hex($value) . "' AS CHAR)";
}

/** How many rows a writing query touched; null when it failed. */
function write(string $sql): ?int
{
    try {
        $touched = \db_process_sql($sql, 'affected_rows', '', false);
    } catch (\Throwable) {
        return null;
    }
    return $touched === false ? null : (int) $touched;
}

/**
 * Inserts one row into our table and tells whether it is new. The primary key decides between requests that come at
 * once. The table is made when it is first needed.
 */
function insert_once(string $kind, string $id, int $until, string $account = '', string $actor = '', string $session = ''): bool
{
    $row = sprintf(
        "INSERT IGNORE INTO %s (id, kind, account, actor, session, until) VALUES ('%s', '%s', '%s', '%s', '%s', %d)",
        TABLE, hash('sha256', "$kind|$id"), $kind, hash('sha256', $account), hash('sha256', $actor), bin2hex($session), $until,
    );
    $touched = write($row);
    if ($touched === null) {
        write('CREATE TABLE IF NOT EXISTS ' . TABLE . ' (id CHAR(64) NOT NULL PRIMARY KEY, kind CHAR(1) NOT NULL,'
            . ' account CHAR(64) NOT NULL, actor CHAR(64) NOT NULL, session VARCHAR(256) NOT NULL, until BIGINT NOT NULL)'
            . ' ENGINE=InnoDB DEFAULT CHARSET=latin1');
        $touched = write($row);
    }
    if ($touched === null) {
        $why = 'store_failed: the table ' . TABLE . ' cannot be written; may the console\'s database user create tables?';
        throw new Refused($why, 503);
    }
    return $touched === 1;
}

/** Spends a jti. Rows are kept longer than anything signed with it is taken. */
function spend(string $kind, array $claims): void
{
    $now = time();
    if (!insert_once($kind, $claims['jti'], $claims['exp'] + 2 * SKEW + CONTINUE_FOR + 600)) {
        throw new Refused('replayed');
    }
    write('DELETE FROM ' . TABLE . " WHERE until < $now");
}

/** The account's row, by exact spelling. The console keeps names as entities, so `josé` may be `jos&eacute;` there. */
function account(string $sub): array
{
    $spellings = array_unique([$sub, (string) \io_safe_input($sub)]);
    $list = implode(', ', array_map(__NAMESPACE__ . '\\sql_text', $spellings));
    $found = rows("SELECT * FROM tusuario WHERE id_user IN ($list)");
    $exact = array_values(array_filter($found, static fn ($row) => in_array((string) $row['id_user'], $spellings, true)));
    if ($exact === []) {
        throw new Refused($found === [] ? 'account_unknown' : 'account_spelling');
    }
    if (count($exact) > 1) {
        throw new Refused('account_ambiguous');
    }
    return $exact[0];
}

/** Refuses what the console's own login would refuse, or ask more of. */
function check_account(array $row, array $permit): void
{
    $user = sql_text((string) $row['id_user']);
    $may = static fn (string $what) => in_array($what, $permit, true);
    $states = [
        'account_disabled' => (bool) ($row['disabled'] ?? true),
        'account_blocked' => (bool) ($row['login_blocked'] ?? false),
        'account_api_only' => (bool) ($row['not_login'] ?? true),
        'account_administrator' => (bool) ($row['is_admin'] ?? true) && !$may('administrator'),
        'account_password_change' => (bool) ($row['force_change_pass'] ?? false) && !$may('password_change'),
        'account_address' => (bool) ($row['allowed_ip_active'] ?? false) && !$may('address_list')
            && !address_listed((string) ($row['allowed_ip_list'] ?? ''), Request::$address),
        'account_second_factor' => !$may('second_factor')
            && rows("SELECT id_user FROM tuser_double_auth WHERE id_user = $user") !== [],
        'account_without_profile' => !(bool) ($row['is_admin'] ?? false)
            && rows("SELECT id_usuario FROM tusuario_perfil WHERE id_usuario = $user LIMIT 1") === [],
    ];
    foreach ($states as $reason => $holds) {
        if ($holds) {
            throw new Refused($reason);
        }
    }
}

/** The console's own list: addresses with commas, `*` for all, zeros at the end of an IPv4 address for a network. */
function address_listed(string $list, string $address): bool
{
    foreach (array_map('trim', explode(',', $list)) as $entry) {
        $zeros = '/^(?=(?:\d{1,3}\.){3}\d{1,3}$)(\d{1,3}\.(?:\d{1,3}\.){0,2}?)(?:0\.){0,2}0$/D';
        $network = preg_match($zeros, $entry, $part) === 1 ? $part[1] : null;
        if ($entry === '*' || ($entry !== '' && $entry === $address)
            || ($network !== null && str_starts_with($address, $network))) {
            return true;
        }
    }
    return false;
}

/** Who is logged in with this browser's session, and whether by us: [account, actor's hash]. It is only read. */
function live_session(?string $id): array
{
    if ($id === null || preg_match('/^[A-Za-z0-9,-]{16,52}$/D', $id) !== 1) {
        return [null, null];
    }
    $data = (string) \pandora_session_read($id);
    $_SESSION = [];
    $read = $data !== '' && session_decode($data);
    $account = $read ? ($_SESSION['id_usuario'] ?? null) : null;
    $actor = $read ? ($_SESSION['mc_opened_by'] ?? null) : null;
    $_SESSION = [];
    return [is_string($account) && $account !== '' ? $account : null, is_string($actor) ? $actor : null];
}

/**
 * A session of the console under a new id. `session_regenerate_id` would lose it silently: the console's handler cannot
 * destroy a row that was never written. So the id is chosen before the console's own handlers start it.
 */
function new_session(array $row, array $claims): string
{
    global $config;
    session_abort();
    $id = bin2hex(random_bytes(16));
    session_id($id);
    unset($config['_using_pandora_sessionhandlers']);
    \enable_session_handlers();
    $_SESSION = [
        'id_usuario' => $row['id_user'], 'mc_opened_by' => hash('sha256', $claims['act']),
        // What the mobile pages ask instead of `id_usuario`.
        'user' => json_encode(['user' => $row['id_user'], 'logged' => true, 'loginTime' => time(), 'errorLogin' => false]),
    ];
    $config['id_user'] = $row['id_user'];
    \db_logon($row['id_user'], Request::$address);
    if (function_exists('\\config_prepare_expire_time_session')) {
        \config_prepare_expire_time_session(true);
    }
    session_write_close();
    if (session_id() !== $id || !str_contains((string) \pandora_session_read($id), 'id_usuario')) {
        throw new Refused('console_failed: it did not keep the session', 503);
    }
    insert_once('s', $id, time() + 400 * 86400, $claims['sub'], $claims['act'], $id);
    return $id;
}

/** Asks the gateway, where the site's file says so. Everything local was checked before. */
function ask_gateway(string $token, array $claims, array $policy): void
{
    $kid = explode('.', $token)[1];
    $key = $policy['keys']['mc1-verify'][$kid] ?? throw new Refused("config: no key mc1-verify of kid $kid", 503);
    [, $state] = browser_state($claims['st']) ?? ['', ''];
    $body = json_encode(['token' => $token, 'st_state' => $state, 'client_ip' => Request::$address]);
    $answer = @file_get_contents($policy['gateway'] . '/api/v1/delegation/verify', false, stream_context_create([
        'http' => [
            'method' => 'POST', 'content' => $body, 'timeout' => 5, 'follow_location' => 0, 'ignore_errors' => true,
            'header' => "Content-Type: application/json\r\nAuthorization: Bearer mcv1.{$policy['site']}.$kid." . to_base64url($key),
        ],
        'ssl' => ['verify_peer' => true, 'verify_peer_name' => true],
    ]), 0, 16384);
    $said = $answer === false ? null : json_decode($answer, true);
    if (!is_array($said) || !is_bool($said['active'] ?? null)) {
        throw new Refused('gateway_unreachable', 503);
    }
    if (!$said['active'] || ($said['sub'] ?? null) !== $claims['sub'] || ($said['dst'] ?? null) !== $claims['dst']) {
        throw new Refused('gateway_refused');
    }
}

// ---------------------------------------------------------------- actions

/** Gives the browser its state and sends it back to the gateway of our own file. */
function start(array $query, array $policy): void
{
    $given = only($query, ['p']);
    if (preg_match('/^[A-Za-z0-9_-]{22}$/D', $given['p'] ?? '') !== 1) {
        throw new Refused('malformed');
    }
    $state = to_base64url(random_bytes(32));
    $st = to_base64url(hash('sha256', $state, true));
    $name = PRE_COOKIE . substr($given['p'], 0, 8);
    $headers = ["Set-Cookie: $name=$state; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=None"];
    $old = Request::$cookies[(string) session_name()] ?? [];
    if (count($old) === 1 && preg_match('/^[A-Za-z0-9,-]{16,52}$/D', $old[0]) === 1) {
        $headers[] = 'Set-Cookie: ' . WAS_COOKIE . "=$old[0]; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=None";
    } elseif (isset(Request::$cookies[WAS_COOKIE])) {
        $headers[] = 'Set-Cookie: ' . WAS_COOKIE . '=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=None';
    }
    answer(303, 'text/plain', '', [
        ...$headers,
        "Location: {$policy['gateway']}/open/{$policy['site']}/finish?p={$given['p']}&st=$st",
    ]);
}

/** What a login request holds: [text, whether it is the answer to "continue as …?"]. */
function login_body(array $query): array
{
    only($query, []);
    $type = strtolower(trim(explode(';', (string) ($_SERVER['CONTENT_TYPE'] ?? ''), 2)[0]));
    if ((int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > BODY_MAX) {
        throw new Refused('too_long');
    }
    $body = $type === 'application/x-www-form-urlencoded' ? file_get_contents('php://input', false, null, 0, BODY_MAX + 1) : '';
    if (strlen((string) $body) > BODY_MAX) {
        throw new Refused('too_long');
    }
    $given = only(pairs((string) $body), ['mc_token', 'mc_continue']);
    if (count($given) !== 1) {
        throw new Refused('malformed');
    }
    // A token comes from the gateway's page; "continue as …?" is asked by our own.
    $from = $_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'same-origin';
    if (isset($given['mc_continue']) && !in_array($from, ['same-origin', 'none'], true)) {
        throw new Refused('cross_site');
    }
    return [current($given), key($given) === 'mc_continue'];
}

/** The part of a login that needs the console. */
function login(string $token, bool $continued, ?string $fault): void
{
    $claims = Request::$claims;
    $policy = Request::$policy;
    spend($continued ? 'c' : 'j', $claims);
    if ($fault !== null) {
        throw new Refused($fault);
    }
    if (!in_array($claims['sub'], $policy['allow'], true)) {
        throw new Refused('not_allowed');
    }
    if ($policy['require_mfa'] && $claims['amr'] !== 'mfa') {
        throw new Refused('mfa_required');
    }
    if ($policy['verification'] === 'online' && !$continued) {
        ask_gateway($token, $claims, $policy);
    }
    $row = account($claims['sub']);
    check_account($row, $policy['permit']);
    Request::$claims['db_user'] = $row['id_user'];
    $sent = Request::$cookies[Request::$session_name][0] ?? null;
    $was = Request::$cookies[WAS_COOKIE] ?? [];
    $old = $sent ?? (count($was) === 1 ? $was[0] : null);
    [$live, $actor] = live_session($old);
    if ($live === $row['id_user'] && $actor === hash('sha256', $claims['act'])) {
        audit('opened', 'kept session');
        // Given again where it was not sent: meanwhile the browser may have got another one.
        $again = Request::$session_name . "=$old; Path=/; Secure; HttpOnly; SameSite=Lax";
        land($claims, $sent === null ? ["Set-Cookie: $again"] : []);
    }
    if ($live !== null && $live !== $row['id_user']) {
        if (!$continued) {
            ask($token, $live, $claims, $policy);
        }
        \pandora_session_destroy($old);
        \db_logoff($live, Request::$address);
    }
    $id = new_session($row, $claims);
    audit('opened', 'new session');
    land($claims, ['Set-Cookie: ' . Request::$session_name . "=$id; Path=/; Secure; HttpOnly; SameSite=Lax"]);
}

/** To the view: 303, so that no browser sends the body again. The opening's state is no longer needed. */
function land(array $claims, array $headers): void
{
    [$name] = browser_state($claims['st']) ?? [PRE_COOKIE . '-'];
    $headers[] = "Set-Cookie: $name=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=None";
    $headers[] = "Location: {$claims['dst']}";
    answer(303, 'text/plain', '', $headers);
}

/** Somebody else is logged in here: nothing is changed before the person says so. */
function ask(string $token, string $live, array $claims, array $policy): void
{
    [, , $payload] = explode('.', $token);
    $kid = (string) array_key_first($policy['keys']['mc1-gate']);
    $mac = to_base64url(hash_hmac('sha256', "mcc1.$kid.$payload", $policy['keys']['mc1-gate'][$kid], true));
    [$name, $state] = browser_state($claims['st']) ?? [PRE_COOKIE . '-', ''];
    audit('asked', 'somebody else is logged in');
    $action = text((string) $_SERVER['SCRIPT_NAME']) . '?a=login';
    $new = text($claims['sub']);
    // The console keeps names as entities.
    $now = text(html_entity_decode($live, ENT_QUOTES, 'UTF-8'));
    $stay = text($claims['dst']);
    $body = "<p>In this browser <b>$now</b> is logged in to this console.</p><form method=\"post\" action=\"$action\">"
        . "<input type=\"hidden\" name=\"mc_continue\" value=\"mcc1.$kid.$payload.$mac\">"
        . "<button>Continue as $new</button></form><p><a href=\"$stay\">Stay as $now</a></p>";
    answer(200, 'text/html', page("Continue as $new?", $body), [
        "Set-Cookie: $name=$state; Path=/; Max-Age=" . CONTINUE_FOR . '; Secure; HttpOnly; SameSite=None',
    ]);
}

/** A call of the gateway itself: `X-Mc-Push: mcp1.KID.PAYLOAD.MAC`, signed for this action. */
function pushed(string $action, array $policy): array
{
    $text = (string) ($_SERVER['HTTP_X_MC_PUSH'] ?? '');
    $claims = flat_json(signed_payload($text, 'mcp1', $policy['keys']['mc1-push'] ?? []));
    $types = ['iss' => 's', 'aud' => 's', 'op' => 's', 'iat' => 'i', 'exp' => 'i', 'jti' => 's'];
    members($claims, $action === 'revoke' ? $types + ['sub' => 's', 'act' => 's'] : $types);
    if ($claims['op'] !== $action) {
        throw new Refused('malformed');
    }
    addressed($claims, $policy);
    return $claims;
}

/** What the gateway's `check` and its key rotation ask for. No secret, no account name. */
function probe(array $policy): void
{
    global $config, $pandora_version, $build_version;
    $secret = (string) \io_output_password($config['loginhash_pwd'] ?? '');
    // The console makes "<number>pandorahash" by itself, which is found by trying; see the guide.
    $weak = strlen($secret) < 15 || str_contains($secret, 'pandora') || strlen(count_chars($secret, 3)) < 8;
    answer(200, 'application/json', json_encode([
        'verifier' => 'dropin', 'version' => VERSION, 'site' => $policy['site'], 'now' => time(),
        'kids' => array_map('strval', array_keys($policy['keys']['mc1'])), 'issuers' => $policy['issuers'],
        'verification' => $policy['verification'],
        'policy' => [
            'allow' => count($policy['allow']), 'permit' => $policy['permit'], 'require_mfa' => $policy['require_mfa'],
        ],
        'console' => [
            'version' => (string) $pandora_version, 'build' => (string) $build_version,
            'loginhash' => $secret === '' ? 'off' : ($weak ? 'weak' : 'strong'),
        ],
    ], JSON_UNESCAPED_SLASHES) . "\n");
}

/** Ends sessions that were opened here: of an account, of an actor, of both; an empty text means any. */
function revoke(array $claims): void
{
    spend('r', $claims);
    $where = "kind = 's'";
    $where .= $claims['sub'] === '' ? '' : " AND account = '" . hash('sha256', $claims['sub']) . "'";
    $where .= $claims['act'] === '' ? '' : " AND actor = '" . hash('sha256', $claims['act']) . "'";
    $ended = 0;
    foreach (rows('SELECT id, session FROM ' . TABLE . " WHERE $where") as $row) {
        $id = (string) hex2bin((string) $row['session']);
        $ended += \pandora_session_destroy($id) ? 1 : 0;
        write('DELETE FROM ' . TABLE . " WHERE id = '" . preg_replace('/[^0-9a-f]/', '', (string) $row['id']) . "'");
    }
    $whose = ($claims['sub'] === '' ? 'any account' : one_line($claims['sub'])) . ' opened by '
        . ($claims['act'] === '' ? 'anybody' : one_line($claims['act']));
    audit('revoked', "ended $ended sessions of $whose at the word of " . one_line($claims['iss']));
    answer(200, 'application/json', json_encode(['ended' => $ended]) . "\n");
}

/** All that is decided without the console. Returns what is left to do inside. */
function decide(): \Closure
{
    Request::$address = (string) ($_SERVER['REMOTE_ADDR'] ?? '-');
    Request::$cookies = raw_cookies();
    [$action, $query] = action();
    $methods = ['start' => 'GET', 'login' => 'POST', 'probe' => 'GET', 'revoke' => 'POST'];
    if (!isset($methods[$action])) {
        throw new Refused('unknown_action', 404);
    }
    Request::$action = $action;
    $policy = Request::$policy = policy();
    if (($_SERVER['REQUEST_METHOD'] ?? '') !== $methods[$action]) {
        throw new Refused('method_not_allowed');
    }
    if ($action === 'start') {
        start($query, $policy);
    }
    if ($action === 'probe' || $action === 'revoke') {
        only($query, []);
        $claims = Request::$claims = pushed($action, $policy);
        return $action === 'probe' ? static fn () => probe($policy) : static fn () => revoke($claims);
    }
    [$token, $continued] = login_body($query);
    Request::$claims = opening($token, $continued, $policy);
    if (count(Request::$cookies[(string) session_name()] ?? []) > 1) {
        throw new Refused('two_sessions');
    }
    $fault = fault_of(Request::$claims);
    return static fn () => login($token, $continued, $fault);
}

try {
    $metaconsole_rest = decide();
    enter_console();
} catch (Refused $metaconsole_no) {
    refuse($metaconsole_no->getMessage(), $metaconsole_no->status);
}
try {
    // In the outermost scope, as the console itself does it: its configuration is global variables.
    require __DIR__ . '/include/config.php';
    inside_console();
    $metaconsole_rest();
} catch (Refused $metaconsole_no) {
    refuse($metaconsole_no->getMessage(), $metaconsole_no->status);
} catch (\Throwable $metaconsole_no) {
    refuse('console_failed: ' . one_line($metaconsole_no->getMessage()), 503);
}
