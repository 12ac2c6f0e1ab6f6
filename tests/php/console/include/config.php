<?php
// A stand-in for a Pandora console's configuration: the few functions that mc.php calls, by the same names, on SQLite.
//
// Written for these tests from what was observed of consoles, none of it is theirs. It has their traps on purpose: reading
// it opens the database and a session, acts on fields of the request, renews the session cookie, and its session handler
// cannot destroy what was never written. Everything that touches the database leaves a line in the file of $STANDIN_TOUCHED.

define('STANDIN_TOUCHED', getenv('STANDIN_TOUCHED'));
$config['dbtype'] = 'mysql';
$config['homedir'] = dirname(__DIR__);
$pandora_version = 'stand-in';
$build_version = 'PC000000';

function standin_touch(string $what): void
{
    file_put_contents(STANDIN_TOUCHED, $what . "\n", FILE_APPEND | LOCK_EX);
}

function db_connect(): PDO
{
    standin_touch('connect');
    $base = new PDO('sqlite:' . getenv('STANDIN_DATABASE'));
    $base->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_SILENT);
    $base->exec('PRAGMA busy_timeout = 20000');
    return $base;
}

/** Rows of a reading query, else how many rows were touched; false when it failed. */
function db_process_sql($sql, $rettype = 'affected_rows', $dbconnection = '', $cache = true)
{
    global $config;
    standin_touch("sql $sql");
    $sql = preg_replace(['/^INSERT IGNORE/', '/ ENGINE=.*$/'], ['INSERT OR IGNORE', ''], $sql);
    if (preg_match('/^(INSERT|UPDATE|DELETE|CREATE)/', $sql)) {
        return $config['dbconnection']->exec($sql);
    }
    $found = $config['dbconnection']->query($sql);
    return $found === false ? false : $found->fetchAll(PDO::FETCH_ASSOC);
}

function db_get_all_rows_sql($sql, $search_history_db = false, $cache = true)
{
    $rows = db_process_sql($sql, 'affected_rows', '', $cache);
    return $rows === [] ? false : $rows;
}

function standin_insert(string $table, array $values)
{
    global $config;
    $quoted = array_map(static fn ($value) => $config['dbconnection']->quote((string) $value), $values);
    return db_process_sql("INSERT INTO $table (" . implode(', ', array_keys($values)) . ') VALUES (' . implode(', ', $quoted) . ')');
}

function io_safe_input($value)
{
    $value = htmlentities($value, ENT_QUOTES, 'UTF-8', true);
    return str_replace(['\\', '(', ')', ' '], ['&#92;', '&#40;', '&#41;', '&#x20;'], $value);
}

function io_output_password($password)
{
    return html_entity_decode((string) $password, ENT_QUOTES, 'UTF-8');
}

function db_pandora_audit($accion, $descripcion, $user_id = false)
{
    return standin_insert('tsesion', ['id_usuario' => $user_id, 'accion' => $accion, 'descripcion' => $descripcion]);
}

function db_logon($id_user, $ip)
{
    db_pandora_audit('User Registration', 'Logged in', $id_user);
}

function db_logoff($id_user, $ip)
{
    db_pandora_audit('User Registration', 'Logged out', $id_user);
}

function pandora_session_read($session_id)
{
    $rows = db_get_all_rows_sql("SELECT data FROM tsessions_php WHERE id_session = '" . addslashes($session_id) . "'", false, false);
    return $rows === false ? '' : (string) $rows[0]['data'];
}

function pandora_session_write($session_id, $data)
{
    global $config;
    $data = $config['dbconnection']->quote($data);
    $id = addslashes($session_id);
    $known = db_get_all_rows_sql("SELECT id_session FROM tsessions_php WHERE id_session = '$id'", false, false);
    return db_process_sql($known === false
        ? "INSERT INTO tsessions_php (id_session, last_active, data) VALUES ('$id', " . time() . ", $data)"
        : "UPDATE tsessions_php SET data = $data WHERE id_session = '$id'") !== false;
}

function pandora_session_destroy($session_id)
{
    return (bool) db_process_sql("DELETE FROM tsessions_php WHERE id_session = '" . addslashes($session_id) . "'");
}

function enable_session_handlers()
{
    global $config;
    if (($config['_using_pandora_sessionhandlers'] ?? false) === true) {
        return false;
    }
    if (session_status() !== PHP_SESSION_NONE) {
        session_write_close();
    }
    session_set_save_handler(
        static fn ($path, $name) => true,
        static fn () => true,
        'pandora_session_read',
        'pandora_session_write',
        'pandora_session_destroy',
        static fn ($life) => true
    );
    session_start();
    return $config['_using_pandora_sessionhandlers'] = true;
}

$config['dbconnection'] = db_connect();
enable_session_handlers();
if (session_status() === PHP_SESSION_NONE) {
    session_start();
}
foreach (db_get_all_rows_sql('SELECT token, value FROM tconfig') ?: [] as $row) {
    $config[$row['token']] = $row['value'];
}
if (isset($_COOKIE[session_name()])) {
    setcookie(session_name(), $_COOKIE[session_name()], time() + 5400, '/');
}
// Whatever it sees of the request it may act on, before anybody is logged in.
if ($_GET + $_POST + $_REQUEST + $_FILES + $_COOKIE !== [] || isset($_SERVER['HTTP_COOKIE']) || $_SERVER['QUERY_STRING'] !== '') {
    standin_touch('saw the request');
}
if (isset($_SESSION['id_usuario'])) {
    $config['id_user'] = $_SESSION['id_usuario'];
    standin_touch('saw the session of ' . $_SESSION['id_usuario']);
}
echo 'noise of the console';
