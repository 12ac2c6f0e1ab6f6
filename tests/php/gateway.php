<?php
// A stand-in for the gateway's verify call: answers what the file TEST_GATEWAY holds, and keeps what it was asked.

file_put_contents(getenv('TEST_GATEWAY') . '.asked', json_encode([
    'uri' => $_SERVER['REQUEST_URI'], 'authorization' => $_SERVER['HTTP_AUTHORIZATION'] ?? '',
    'body' => json_decode(file_get_contents('php://input'), true),
]));
header('Content-Type: application/json');
echo file_get_contents(getenv('TEST_GATEWAY'));
