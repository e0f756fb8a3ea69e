<?php
// A handler for salesbot-bridge, written with PHP's standard library alone.
declare(strict_types=1);

function is_genuine(string $body): bool
{
    $key = base64_decode(substr((string) getenv('BRIDGE_SECRET'), strlen('whsec_'))) ?: throw new Error('set BRIDGE_SECRET');
    $sent_at = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!ctype_digit($sent_at) || abs(time() - (int) $sent_at) > 300) {
        return false;
    }
    $signed = ($_SERVER['HTTP_WEBHOOK_ID'] ?? '') . ".$sent_at.$body";
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $signed, $key, true));
    // While the secret rotates, the bridge sends two signatures. One of them must match.
    $given = explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '');
    return array_filter($given, fn ($one) => hash_equals($expected, $one)) !== [];
}

$body = file_get_contents('php://input');
if (!is_genuine($body)) {
    http_response_code(401);
    exit;
}
$event = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
if ($event['type'] !== 'ping' && filter_var($event['data']['input']['later'] ?? false, FILTER_VALIDATE_BOOLEAN)) {
    http_response_code(202);
    header('content-length: 0');
    // Ends the response, but not the script. Without PHP-FPM, the length of 0 ends it.
    function_exists('fastcgi_finish_request') ? fastcgi_finish_request() : flush();
    sleep(1);
    $completion = json_encode(['data' => ['reply' => 'That took a moment.']]);
    $http = ['method' => 'POST', 'header' => 'content-type: application/json', 'content' => $completion, 'timeout' => 10];
    isset($event['data']['callback']) && file_get_contents($event['data']['callback']['url'], false, stream_context_create(['http' => $http]));
    exit;
}
$reply = $event['type'] === 'ping' ? 'pong' : 'You wrote: ' . ($event['data']['input']['message'] ?? '');
header('content-type: application/json');
echo json_encode(['data' => ['reply' => $reply]]);
