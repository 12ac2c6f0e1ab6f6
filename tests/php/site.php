<?php
// A site for the tests: a folder with a console (the stand-in, or links to a real one) and mc.php in it, served by PHP's
// own web server on a free loopback port.

declare(strict_types=1);

/** A PHP web server of ours. */
final class Server
{
    public int $port;
    /** @var resource */
    private $process;

    public function __construct(string $root, string $log, array $environment, array $settings = [], ?string $router = null)
    {
        for ($try = 0; $try < 5; $try++) {
            $free = stream_socket_server('tcp://127.0.0.1:0');
            $this->port = (int) substr(strrchr(stream_socket_get_name($free, false), ':'), 1);
            fclose($free);
            $command = array_merge(['setsid', PHP_BINARY], $settings, ['-S', "127.0.0.1:$this->port", '-t', $root], $router === null ? [] : [$router]);
            $streams = [['file', '/dev/null', 'r'], ['file', $log, 'a'], ['file', $log, 'a']];
            $this->process = proc_open($command, $streams, $pipes, $root, $environment + getenv());
            $until = microtime(true) + 10;
            while (microtime(true) < $until && proc_get_status($this->process)['running']) {
                if (($probe = @stream_socket_client("tcp://127.0.0.1:$this->port", $no, $text, 1)) !== false) {
                    fclose($probe);
                    return;
                }
                usleep(20000);
            }
            $this->stop();
        }
        throw new RuntimeException("PHP's web server does not start, see $log");
    }

    /** SIGINT to the group of its own (setsid): it waits for its workers and does not pass the signal on. */
    public function stop(): void
    {
        if (is_resource($this->process)) {
            $group = proc_get_status($this->process)['pid'];
            posix_kill(-$group, SIGINT);
            proc_close($this->process);
        }
    }

    /** Also when a test ends in an exception. */
    public function __destruct()
    {
        $this->stop();
    }

    /** Sends bytes and does not wait. @return resource */
    public function send(string $method, string $target, array $headers = [], string $body = '')
    {
        $socket = stream_socket_client("tcp://127.0.0.1:$this->port", $no, $text, 10);
        $lines = array_merge(["$method $target HTTP/1.1", "Host: 127.0.0.1:$this->port", 'Connection: close'], $headers);
        if ($body !== '' || $method === 'POST') {
            $lines[] = 'Content-Length: ' . strlen($body);
        }
        fwrite($socket, implode("\r\n", $lines) . "\r\n\r\n" . $body);
        return $socket;
    }

    /** @param resource $socket */
    public static function receive($socket): Answer
    {
        stream_set_timeout($socket, 60);
        $all = (string) stream_get_contents($socket);
        fclose($socket);
        [$head, $body] = explode("\r\n\r\n", $all, 2) + [1 => ''];
        return new Answer(explode("\r\n", $head), $body);
    }
}

final class Answer
{
    public int $status;

    public function __construct(public array $lines, public string $body)
    {
        $this->status = (int) (explode(' ', $lines[0])[1] ?? 0);
    }

    /** @return list<string> */
    public function all(string $name): array
    {
        $found = [];
        foreach ($this->lines as $line) {
            if (stripos($line, "$name: ") === 0) {
                $found[] = substr($line, strlen($name) + 2);
            }
        }
        return $found;
    }

    public function one(string $name): string
    {
        $all = $this->all($name);
        return count($all) === 1 ? $all[0] : '(' . count($all) . ' headers)';
    }

    /** The console's session that this answer sets. */
    public function session(): ?string
    {
        foreach ($this->all('Set-Cookie') as $cookie) {
            if (preg_match('/^PHPSESSID=([^;]+);/', $cookie, $part)) {
                return $part[1];
            }
        }
        return null;
    }
}

final class Site
{
    public const NOW = 1767225602;
    public const STATE = 'pre-session-state-0001';
    public string $folder;
    public PDO $base;
    public Server $server;
    public array $policy;
    public array $keys = [];
    private string $touched;
    private array $made = [];

    /** @param ?string $console the folder of a real console, or null for the stand-in */
    public function __construct(public array $vectors, public ?string $console, array $environment = [])
    {
        $this->folder = sys_get_temp_dir() . '/mc-' . bin2hex(random_bytes(6));
        $root = "$this->folder/www/pandora_console";
        mkdir($root, 0700, true);
        mkdir("$this->folder/etc", 0700);
        foreach (array_diff(scandir($console ?? __DIR__ . '/console'), ['.', '..', 'mc.php']) as $name) {
            symlink(($console ?? __DIR__ . '/console') . "/$name", "$root/$name");
        }
        copy(__DIR__ . '/../../integrations/pandora/mc.php', "$root/mc.php");
        $this->touched = "$this->folder/touched";
        touch($this->touched);
        $this->base = $console === null ? $this->own_base() : $this->real_base();
        $this->base->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
        $this->policy = [
            'site' => 'site-madrid', 'issuers' => ['mc-hq'], 'gateway' => 'https://hq.example.org',
            'keys' => "$this->folder/etc/keys",
            'allow' => ['ops.reader', 'josé.nuñez', '管理者', 'jane.doe@example.org'],
            'audit_file' => "$this->folder/audit",
        ];
        foreach ($vectors['site_keys'] as $key) {
            if ($key['site'] === 'site-madrid' && $key['active']) {
                $this->keys["$key[purpose] $key[kid]"] = hex2bin($key['key_hex']);
            }
        }
        $this->write_keys();
        $this->write_policy();
        $this->now(self::NOW);
        $this->accounts();
        $this->server = new Server("$this->folder/www", "$this->folder/log", [
            'METACONSOLE_POLICY' => "$this->folder/etc/policy.ini", 'TEST_CLOCK' => "$this->folder/now",
            'STANDIN_TOUCHED' => $this->touched, 'STANDIN_DATABASE' => "$this->folder/base", 'PHP_CLI_SERVER_WORKERS' => '8',
        ] + $environment, ['-d', 'auto_prepend_file=' . __DIR__ . '/clock.php', '-d', 'display_errors=0']);
    }

    private function own_base(): PDO
    {
        $base = new PDO("sqlite:$this->folder/base");
        $base->exec('PRAGMA journal_mode = WAL');
        $base->exec('PRAGMA busy_timeout = 20000');
        $base->exec('CREATE TABLE tusuario (id_user TEXT COLLATE NOCASE UNIQUE, is_admin INT DEFAULT 0, disabled INT DEFAULT 0,
            login_blocked INT DEFAULT 0, not_login INT DEFAULT 0, force_change_pass INT DEFAULT 0, allowed_ip_active INT DEFAULT 0,
            allowed_ip_list TEXT)');
        $base->exec('CREATE TABLE tusuario_perfil (id_usuario TEXT, id_perfil INT, id_grupo INT)');
        $base->exec('CREATE TABLE tuser_double_auth (id INTEGER PRIMARY KEY, id_user TEXT, secret TEXT)');
        $base->exec('CREATE TABLE tsessions_php (id_session TEXT PRIMARY KEY, last_active INT, data TEXT)');
        $base->exec('CREATE TABLE tsesion (id_sesion INTEGER PRIMARY KEY, id_usuario TEXT, accion TEXT, descripcion TEXT)');
        $base->exec("CREATE TABLE tconfig (token TEXT PRIMARY KEY, value TEXT)");
        $base->exec("INSERT INTO tconfig VALUES ('loginhash_pwd', '')");
        return $base;
    }

    private function real_base(): PDO
    {
        $text = file_get_contents("$this->console/include/config.php");
        preg_match_all('/\$config\[[\'"](db\w+)[\'"]\]\s*=\s*[\'"]([^\'"]*)[\'"]/', $text, $found);
        $of = array_combine($found[1], $found[2]) + ['dbport' => '3306'];
        $base = new PDO("mysql:host=$of[dbhost];port=$of[dbport];dbname=$of[dbname];charset=utf8", $of['dbuser'], $of['dbpass']);
        if ($base->query("SHOW TABLES LIKE 'tmc_openings'")->fetch() !== false) {
            throw new RuntimeException('this console has a table tmc_openings: a drop-in is in use there');
        }
        return $base;
    }

    /** The accounts that the vectors and the tests name. */
    private function accounts(): void
    {
        $all = [
            ['ops.reader', []], ['jos&eacute;.nu&ntilde;ez', []], ['管理者', []], ['jane.doe@example.org', []],
            ['mct.admin', ['is_admin' => 1]], ['mct.disabled', ['disabled' => 1]], ['mct.blocked', ['login_blocked' => 1]],
            ['mct.api', ['not_login' => 1]], ['mct.change', ['force_change_pass' => 1]],
            ['mct.address', ['allowed_ip_active' => 1, 'allowed_ip_list' => '10.9.9.9,192.0.2.0']],
            ['mct.here', ['allowed_ip_active' => 1, 'allowed_ip_list' => '10.9.9.9, 127.0.0.0']],
            ['mct.second', []], ['mct.noprofile', []], ['mct.other', []],
        ];
        foreach ($all as [$name, $more]) {
            $values = ['id_user' => $name] + $more;
            if ($this->console !== null) {
                $values += ['fullname' => 'test', 'firstname' => '', 'lastname' => '', 'middlename' => '', 'comments' => 'mc test'];
            }
            $marks = implode(', ', array_fill(0, count($values), '?'));
            $this->base->prepare('INSERT INTO tusuario (' . implode(', ', array_keys($values)) . ") VALUES ($marks)")
                ->execute(array_values($values));
            $this->made[] = $name;
            if ($name !== 'mct.noprofile') {
                $this->base->prepare('INSERT INTO tusuario_perfil (id_usuario, id_perfil, id_grupo) VALUES (?, 1, 0)')->execute([$name]);
            }
        }
        $this->base->exec("INSERT INTO tuser_double_auth (id_user, secret) VALUES ('mct.second', 'AAAAAAAAAAAAAAAA')");
    }

    public function now(int $now): void
    {
        file_put_contents("$this->folder/now", (string) $now);
    }

    public function write_policy(array $change = [], int $mode = 0600): void
    {
        $file = "$this->folder/etc/policy.ini";
        @unlink($file);
        $text = '';
        foreach (array_merge($this->policy, $change) as $name => $value) {
            foreach ((array) $value as $one) {
                $text .= $name . (is_array($value) ? '[]' : '') . " = \"$one\"\n";
            }
        }
        file_put_contents($file, $text);
        chmod($file, $mode);
    }

    public function write_keys(?string $text = null, int $mode = 0600): void
    {
        $lines = "# keys of the tests\nsite site-madrid\n";
        foreach ($this->keys as $name => $key) {
            $lines .= "$name " . b64($key) . "\n";
        }
        @unlink("$this->folder/etc/keys");
        file_put_contents("$this->folder/etc/keys", $text ?? $lines);
        chmod("$this->folder/etc/keys", $mode);
    }

    /** Something that changes whenever the console's database or its sessions are touched. */
    public function touches(): string
    {
        clearstatcache();
        return $this->console === null
            ? (string) filesize($this->touched)
            : json_encode($this->base->query('SELECT (SELECT COUNT(*) FROM tsessions_php), (SELECT COUNT(*) FROM tsesion)')->fetch(PDO::FETCH_NUM));
    }

    /** Whether the stand-in ever saw fields, cookies or a session of a request. */
    public function saw(): bool
    {
        return str_contains(file_get_contents($this->touched), "\nsaw ");
    }

    /** Forgets spent tokens and sessions of ours. */
    public function forget(): void
    {
        try {
            $this->base->exec('DELETE FROM tmc_openings');
        } catch (PDOException) {
            // It is made when it is first needed.
        }
    }

    public function value(string $sql, array $values = [])
    {
        $asked = $this->base->prepare($sql);
        $asked->execute($values);
        return $asked->fetchColumn();
    }

    /** The last decision: [result, reason, the whole line]. */
    public function decision(): array
    {
        $lines = @file("$this->folder/audit", FILE_IGNORE_NEW_LINES) ?: [];
        $line = (string) end($lines);
        $said = json_decode((string) strstr($line, '{'), true) ?? [];
        return [$said['result'] ?? '', $said['reason'] ?? '', $line];
    }

    /** A token with these claims, otherwise good. */
    public function token(array $change = [], string $purpose = 'mc1', string $prefix = 'mc1'): string
    {
        $claims = array_merge([
            'iss' => 'mc-hq', 'aud' => 'site-madrid', 'sub' => 'ops.reader', 'act' => 'local:alice', 'amr' => 'pwd',
            'iat' => self::NOW, 'exp' => self::NOW + 60, 'jti' => b64(random_bytes(16)),
            'dst' => '/pandora_console/index.php?sec=estado', 'st' => b64(hash('sha256', self::STATE, true)),
        ], $change);
        return $this->signed($claims, $purpose, $prefix);
    }

    public function signed(array $claims, string $purpose, string $prefix, string $kid = '2026a'): string
    {
        $text = "$prefix.$kid." . b64(json_encode(array_filter($claims, static fn ($value) => $value !== null), JSON_UNESCAPED_SLASHES));
        return "$text." . b64(hash_hmac('sha256', $text, $this->keys["$purpose $kid"], true));
    }

    public function push(string $op, array $change = [], string $purpose = 'mc1-push'): string
    {
        $claims = ['iss' => 'mc-hq', 'aud' => 'site-madrid', 'op' => $op, 'iat' => self::NOW, 'exp' => self::NOW + 60,
            'jti' => b64(random_bytes(16))];
        return $this->signed(array_merge($claims, $change), $purpose, 'mcp1');
    }

    public function post(string $body, ?string $state = self::STATE, ?string $session = null, array $headers = []): Answer
    {
        return Server::receive($this->send($body, $state, $session, $headers));
    }

    /** @return resource */
    public function send(string $body, ?string $state = self::STATE, ?string $session = null, array $headers = [])
    {
        $cookies = array_filter([
            $state === null ? null : "__Host-mc_pre_abcdefgh=$state", $session === null ? null : "PHPSESSID=$session",
        ]);
        if ($cookies !== []) {
            $headers[] = 'Cookie: ' . implode('; ', $cookies);
        }
        $type = preg_grep('/^content-type:/i', $headers) === [] ? ['Content-Type: application/x-www-form-urlencoded'] : [];
        return $this->server->send('POST', '/pandora_console/mc.php?a=login', array_merge($headers, $type), $body);
    }

    /** Opens with a token of these claims. */
    public function open(array $change = [], ?string $session = null, ?string $state = self::STATE): Answer
    {
        return $this->post('mc_token=' . $this->token($change), $state, $session);
    }

    public function get(string $target, array $headers = [], string $method = 'GET'): Answer
    {
        return Server::receive($this->server->send($method, "/pandora_console/$target", $headers));
    }

    /** Stops the server and takes away what was made, in a real console's database too. */
    public function remove(): void
    {
        $this->server->stop();
        if ($this->console !== null) {
            $this->base->exec('DROP TABLE IF EXISTS tmc_openings');
            $this->base->exec("DELETE FROM tsessions_php WHERE data LIKE '%mc_opened_by|%'");
            $this->base->exec("DELETE FROM tuser_double_auth WHERE id_user = 'mct.second'");
            foreach ($this->made as $name) {
                $this->base->prepare('DELETE FROM tusuario_perfil WHERE id_usuario = ?')->execute([$name]);
                $this->base->prepare("DELETE FROM tusuario WHERE id_user = ? AND comments = 'mc test'")->execute([$name]);
            }
        }
        $files = new RecursiveIteratorIterator(new RecursiveDirectoryIterator($this->folder, FilesystemIterator::SKIP_DOTS), RecursiveIteratorIterator::CHILD_FIRST);
        foreach ($files as $file) {
            $file->isDir() && !$file->isLink() ? rmdir((string) $file) : unlink((string) $file);
        }
        rmdir($this->folder);
    }
}

function b64(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}
