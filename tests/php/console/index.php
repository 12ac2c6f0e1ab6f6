<?php
// A stand-in for a Pandora console's pages, as far as its own hash login goes. Written for these tests from what was
// observed of consoles 7.0NG.772 and 776; none of it is theirs. It has their weaknesses on purpose:
//
// - the hash logs anybody in, as often as it comes, and keeps the session id that the browser brought;
// - with a session, it is looked at only when the address has `loginhash_data`; a wrong one there logs out;
// - fields of a POST go into the links of paging and of the automatic refresh, on every page that has those, and into hidden
//   fields of the login form when a page was asked for.
//
// The secret is in `etc/loginhash`, beside the folder that is served; empty or missing: the login is off.

declare(strict_types=1);

const REFRESHED = ['operation/events/events', 'operation/agentes/estado_agente', 'operation/agentes/tactical'];
const PAGED = ['operation/agentes/estado_agente', 'operation/agentes/group_view'];

function text(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES);
}

/** The address of this page, with the fields that were posted to it. */
function again(array $more): string
{
    return 'index.php?' . http_build_query($more + $_GET + $_POST) . '&' . http_build_query($_POST);
}

function login_page(string $why): void
{
    echo '<h1>Login</h1><p>', text($why), '</p><form method="post" action="index.php">';
    if (($_GET['sec'] ?? '') !== '' && ($_GET['sec2'] ?? '') !== '') {
        foreach ($_POST as $name => $value) {
            echo '<input type="hidden" name="', text((string) $name), '" value="', text((string) $value), '">';
        }
    }
    echo '<button>Login</button></form>';
    exit;
}

/** Logs in whoever the hash is of. */
function by_hash(): void
{
    $secret = trim((string) @file_get_contents(__DIR__ . '/../../etc/loginhash'));
    $user = str_rot13((string) ($_POST['loginhash_user'] ?? $_GET['loginhash_user'] ?? ''));
    $data = (string) ($_POST['loginhash_data'] ?? $_GET['loginhash_data'] ?? '');
    unset($_SESSION['user']);
    if ($secret === '' || $data != md5($user . $secret)) {
        login_page('Loginhash failed');
    }
    $_SESSION['user'] = $user;
}

session_save_path(__DIR__ . '/../../etc');
session_name('PHPSESSID');
session_start();
header('Content-Type: text/html; charset=UTF-8');
echo '<!doctype html><meta charset="utf-8"><title>Stand-in</title>';
if (isset($_SESSION['user']) ? isset($_GET['loginhash_data']) : isset($_GET['loginhash']) || isset($_POST['loginhash'])) {
    by_hash();
}
if (!isset($_SESSION['user'])) {
    login_page('');
}
$page = (string) ($_GET['sec2'] ?? '');
if ($page === '') {
    // The account has chosen its first page: one that is refreshed.
    $_GET['sec2'] = $page = REFRESHED[0];
}
echo '<h1 id="user">', text($_SESSION['user']), '</h1><p id="page">', text($page . ' ' . ($_GET['tab'] ?? '') . ' '
    . ($_GET['id_agente'] ?? $_GET['id_agent'] ?? '')), '</p>';
if (in_array($page, REFRESHED, true)) {
    // By a script, after half a second; the first time only, so that a test sees an end.
    $refreshed = isset($_GET['refr']) ? 'yes' : 'no';
    echo '<a id="refresh" href="', text(again(['refr' => '1'])), "\">refresh</a><script>\n",
        "if ('$refreshed' === 'no') setTimeout(() => document.getElementById('refresh').click(), 500);\n</script>";
}
if (in_array($page, PAGED, true)) {
    echo '<a id="next" href="', text(again(['offset' => '20'])), '">next</a>';
}
foreach (['events' => 'operation/events/events', 'agents' => 'operation/agentes/estado_agente', 'groups' => 'operation/agentes/group_view'] as $id => $menu) {
    echo "<a id=\"$id\" href=\"index.php?sec=x&amp;sec2=$menu\">$id</a> ";
}
